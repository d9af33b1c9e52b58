import { expect, test } from 'vitest'
import { createLastResults } from '../../../src/event-source/cluster/last-results.ts'
import { createTestCluster, settle } from '../../cluster/state/state-fixtures.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

test('results that alternate are written once a second, and equal ones once', async () => {
  const cluster = createTestCluster()
  const clock = createManualClock()
  const [one, other] = [await cluster.join(), await cluster.join()]
  const { signal } = new AbortController()
  const view = one.state.view('result')
  const results = createLastResults({ view, clock }, signal)
  const shown = createLastResults({ view: other.state.view('result'), clock }, signal)
  const revisionNow = () => cluster.store.entries.get('result.u')?.revision ?? 0
  expect(results.of('u')).toBe('No records processed')
  for (let count = 0; count < 50; count++) results.note('u', 'OK')
  await settle()
  expect([shown.of('u'), revisionNow()]).toEqual(['OK', 1])
  for (let ms = 0; ms < 5_000; ms += 100) {
    results.note('u', ms % 200 === 0 ? 'PROBLEM' : 'OK')
    await settle()
    clock.advance(100)
  }
  expect(revisionNow()).toBeLessThanOrEqual(7)
  results.note('u', 'PROBLEM')
  for (let count = 0; count < 3; count++) {
    clock.advance(1_000)
    await settle()
  }
  expect([results.of('u'), shown.of('u')]).toEqual(['PROBLEM', 'PROBLEM'])
  await results.remove('u')
  await settle()
  expect(shown.of('u')).toBe('No records processed')
})
