import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { deliveryDefaults } from '../../src/outbox/outbox.ts'
import { deliveryOf, parseDelivery } from '../../src/rules/delivery.ts'
import type { RuleDelivery } from '../../src/rules/delivery.ts'
import { openStore, payloadOf, temporaryFolder } from './rule-fixtures.ts'

describe('deliveryOf', () => {
  const delivery = parseDelivery({
    defaults: { ordering: 'none', batching: { count: 100, periodMs: 5 }, region: 'eu-west-1' },
    actions: {
      '1': { batching: { count: 7 }, retry: { maxAgeMs: 1_000 }, region: 'eu-west-2' },
      errorAction: { ordering: 'strict', credentials: 'process' },
    },
  })
  const { bytes } = deliveryDefaults.batching

  test('takes each setting from the action, the rule or the configuration', () => {
    expect(deliveryOf(delivery, 1, deliveryDefaults)).toEqual({
      region: 'eu-west-2',
      settings: {
        ordering: 'none',
        batching: { count: 7, bytes, periodMs: 5 },
        maxInFlight: 16,
        retry: { maxAgeMs: 1_000 },
      },
    })
    expect(deliveryOf(delivery, 0, deliveryDefaults)).toMatchObject({
      region: 'eu-west-1',
      settings: { batching: { count: 100 }, retry: { maxAgeMs: 86_400_000 } },
    })
    expect(deliveryOf(delivery, -1, deliveryDefaults)).toMatchObject({
      credentials: 'process',
      settings: { ordering: 'strict' },
    })
  })

  test('returns frozen settings', () => {
    const { settings } = deliveryOf(delivery, 1, deliveryDefaults)
    expect([settings, settings.batching, settings.retry].every(Object.isFrozen)).toBe(true)
  })

  test('without any settings gives those of the configuration', () => {
    expect(deliveryOf({}, 0, deliveryDefaults)).toEqual({ settings: deliveryDefaults })
  })
})

describe('parseDelivery', () => {
  test.each<[unknown, string]>([
    [[], 'delivery must be an object'],
    [{ colour: 1 }, 'delivery.colour is not a known member'],
    [{ defaults: { colour: 1 } }, 'delivery.defaults.colour is not a known member'],
    [{ actions: { '10': {} } }, 'delivery.actions[10] is not a known member'],
    [
      { actions: { '0': { ordering: 'any' } } },
      'delivery.actions[0].ordering must be one of key, strict, none',
    ],
    [
      { defaults: { batching: { count: 501 } } },
      'delivery.defaults.batching.count must be 500 or less',
    ],
    [
      { defaults: { batching: { bytes: 10_485_761 } } },
      'delivery.defaults.batching.bytes must be 10485760 or less',
    ],
    [
      { defaults: { batching: { periodMs: 1.5 } } },
      'delivery.defaults.batching.periodMs must be an integer',
    ],
    [{ defaults: { maxInFlight: 0 } }, 'delivery.defaults.maxInFlight must be 1 or more'],
    [
      { defaults: { retry: { maxAgeMs: -1 } } },
      'delivery.defaults.retry.maxAgeMs must be 0 or more',
    ],
  ])('refuses %j', (json, message) => {
    expect(() => parseDelivery(json, 'delivery')).toThrow(
      expect.objectContaining({ code: 'InvalidRequestException', message }) as Error,
    )
  })

  test.each([
    { region: 'nowhere' },
    { endpoint: 'ftp://x' },
    { endpoint: 'https://user@x' },
    { externalId: 'x' },
    { streamArn: '' },
  ])('refuses %j', (defaults) => {
    const [name = ''] = Object.keys(defaults)
    expect(() => parseDelivery({ defaults })).toThrow(new RegExp(`^defaults\\.${name} must`))
  })
})

describe('a rule', () => {
  const delivery: RuleDelivery = { actions: { '0': { maxInFlight: 3 } } }

  test('keeps its delivery settings when it is replaced, disabled and opened again', async () => {
    const directory = await temporaryFolder()
    const { store } = await openStore({ directory })
    await store.create('r', payloadOf(), { team: 'x' })
    await store.setDelivery('r', delivery)
    expect(store.get('r')).toMatchObject({ delivery, tags: { team: 'x' } })
    await store.replace('r', payloadOf('other'))
    await store.setDisabled('r', true)
    expect(store.get('r').delivery).toEqual(delivery)
    await store.close()
    const reopened = await openStore({ directory })
    expect(reopened.store.get('r').delivery).toEqual(delivery)
    expect(Object.isFrozen(reopened.store.get('r').delivery?.actions)).toBe(true)
  })

  test('leaves the file of the payload as it was written when settings change', async () => {
    const directory = await temporaryFolder()
    const byHand = `{ "topicRulePayload":${JSON.stringify(payloadOf())} }`
    await writeFile(path.join(directory, 'r.json'), byHand)
    const { store } = await openStore({ directory })
    await store.setDelivery('r', delivery)
    await store.setTags('r', () => ({ a: 'b' }))
    expect(await readFile(path.join(directory, 'r.json'), 'utf8')).toBe(byHand)
    expect(store.get('r')).toMatchObject({ delivery, tags: { a: 'b' } })
  })

  test('takes settings that are edited on disk, and keeps the last good ones', async () => {
    const { store, directory, logLine } = await openStore({ watch: true })
    await store.create('r', payloadOf(), {})
    const file = path.join(directory, 'r.meta.json')
    await writeFile(file, JSON.stringify({ delivery }))
    await logLine(/^rule r was changed on disk/)
    expect(store.get('r').delivery).toEqual(delivery)
    await writeFile(file, JSON.stringify({ delivery: { defaults: { maxInFlight: 'many' } } }))
    await logLine(/r\.meta\.json: delivery\.defaults\.maxInFlight must be an integer/)
    expect(store.get('r').delivery).toEqual(delivery)
  })

  test.each<[RuleDelivery, string]>([
    [{ actions: { '1': {} } }, 'actions[1]: the rule has 1 actions'],
    [{ actions: { errorAction: {} } }, 'actions.errorAction: the rule has no error action'],
    [
      { actions: { '0': { streamArn: 'arn:x' } } },
      'actions[0].delivery.streamArn: "arn:x" is not the ARN of a stream: ' +
        'arn:aws:kinesis:<region>:<12 digits>:stream/<name>',
    ],
  ])('refuses %j, and stays as it was', async (given, message) => {
    const { store } = await openStore()
    await store.create('r', payloadOf(), {})
    await expect(store.setDelivery('r', given)).rejects.toThrow(
      expect.objectContaining({ code: 'InvalidRequestException', message }) as Error,
    )
    expect(store.get('r').delivery).toBeUndefined()
  })

  test('gives its settings to the records of its actions', async () => {
    const { store } = await openStore()
    await store.create('r', payloadOf('a'), {})
    const rule = await store.setDelivery('r', { defaults: { ordering: 'strict' } })
    expect(store.match('a')).toEqual([rule])
  })
})
