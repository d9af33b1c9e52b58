import { readFile, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { deliveryDefaults } from '../../src/outbox/outbox.ts'
import { deliveryOf, parseDelivery } from '../../src/rules/delivery.ts'
import type { RuleDelivery } from '../../src/rules/delivery.ts'
import type { RuleStore } from '../../src/rules/rule-store.ts'
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
    const settings: RuleDelivery = { defaults: { ordering: 'strict' } }
    expect(await store.setDelivery('r', settings)).toEqual(settings)
    expect(store.match('a')).toMatchObject([{ name: 'r', delivery: settings }])
  })
})

describe('delivery settings before their rule exists', () => {
  const delivery: RuleDelivery = { defaults: { externalId: 'agreed' } }

  test('wait for its creation, also over a restart, and are gone with it', async () => {
    const directory = await temporaryFolder()
    const { store: first } = await openStore({ directory })
    expect(await first.delivery('r')).toBeUndefined()
    expect(await first.setDelivery('r', delivery)).toEqual(delivery)
    expect(first.all()).toEqual([])
    await first.close()
    const { store } = await openStore({ directory })
    expect(await store.delivery('r')).toEqual(delivery)
    await store.create('r', payloadOf('a'), { team: 'x' })
    expect(store.get('r')).toMatchObject({ delivery, tags: { team: 'x' } })
    expect(store.match('a')).toMatchObject([{ delivery }])
    await store.delete('r')
    expect(await store.delivery('r')).toBeUndefined()
    await store.create('r', payloadOf('a'), {})
    expect(await store.delivery('r')).toEqual({})
  })

  test('can be laid beside by hand, with members that are not known', async () => {
    const directory = await temporaryFolder()
    const file = path.join(directory, 'r.meta.json')
    const text = JSON.stringify({ delivery, owner: 'me', createdAt: 7, tags: { of: 'another' } })
    await writeFile(file, text)
    const { store } = await openStore({ directory, clock: { ...systemClock, wallMs: () => 9_000 } })
    expect(await store.delivery('r')).toEqual(delivery)
    await store.create('r', payloadOf(), {})
    expect(store.get('r')).toMatchObject({ delivery, createdAt: 9, tags: {} })
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ owner: 'me' })
  })

  test('are no rule to a store that watches its folder', async () => {
    const { store, logged } = await openStore({ watch: true })
    await store.setDelivery('r', delivery)
    await store.create('other', payloadOf(), {})
    expect(store.all().map(({ name }) => name)).toEqual(['other'])
    expect(logged).toEqual([])
  })

  test.each<[string, (store: RuleStore) => Promise<unknown>]>([
    ['empty settings', (store) => store.setDelivery('r', {})],
    ['the deletion of the rule', (store) => store.delete('r')],
  ])('are removed by %s', async (_, remove) => {
    const { store, directory } = await openStore()
    await store.setDelivery('r', delivery)
    await remove(store)
    expect(await store.delivery('r')).toBeUndefined()
    expect(await readdir(directory)).toEqual([])
    await remove(store)
  })

  test('are refused by their file when that is not valid', async () => {
    const directory = await temporaryFolder()
    await writeFile(path.join(directory, 'r.meta.json'), '{"delivery": {"defaults": 1}}')
    const { store } = await openStore({ directory })
    const refusal = expect.objectContaining({
      code: 'InvalidRequestException',
      message: expect.stringMatching(/^r\.meta\.json: delivery\.defaults must be /) as string,
    }) as Error
    await expect(store.create('r', payloadOf(), {})).rejects.toThrow(refusal)
    await expect(store.delivery('r')).rejects.toThrow(refusal)
    expect(store.all()).toEqual([])
    await store.delete('r')
    await store.create('r', payloadOf(), {})
  })

  test('are bounded together with the rules', async () => {
    const { store } = await openStore({ rulesMax: 2 })
    await store.create('a', payloadOf(), {})
    await store.setDelivery('b', delivery)
    await store.setDelivery('b', {})
    await store.setDelivery('b', delivery)
    await expect(store.setDelivery('c', delivery)).rejects.toMatchObject({
      code: 'InvalidRequestException',
    })
    await store.delete('a')
    await store.setDelivery('c', delivery)
  })
})
