import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openShadows as open, startS, temporaryFolder } from './shadow-parts.ts'

const at = (timestamp: number) => ({ timestamp })
const state = (desired?: unknown, reported?: unknown) => ({
  state: { ...(desired !== undefined && { desired }), ...(reported !== undefined && { reported }) },
})

const listed = (thingName: string, shadowName: string) => ({ thingName, shadowName, version: 1 })

/** What a device would build from documents alone. */
const leaf = fc.oneof(fc.integer(), fc.boolean(), fc.string({ maxLength: 3 }), fc.constant(null))
const { section } = fc.letrec<{ section: Record<string, unknown> }>((tie) => ({
  section: fc.dictionary(
    fc.constantFrom('a', 'b', '__proto__', 'c'),
    fc.oneof({ maxDepth: 2 }, leaf, tie('section')),
    { maxKeys: 3 },
  ),
}))

describe.each(['own', 'shared'] as const)('shadows, %s', (place) => {
  const openShadows = () => open(undefined, place)

  describe('an update', () => {
    test('is answered as the developer guide shows it', async () => {
      const { ask, clock } = await openShadows()
      await ask('update', state({ tone: 'cold', hue: 7 }))
      clock.advance(5_000)
      const now = startS + 5
      const update = { ...state({ tone: 'warm', ring: { on: true } }), clientToken: 't-9' }
      const written = { tone: at(now), ring: { on: at(now) } }
      const desired = { tone: 'warm', hue: 7, ring: { on: true } }
      const metadata = { tone: at(now), hue: at(startS), ring: { on: at(now) } }
      expect(await ask('update', update)).toEqual({
        'update/accepted': {
          state: { desired: { tone: 'warm', ring: { on: true } } },
          metadata: { desired: written },
          version: 2,
          timestamp: now,
          clientToken: 't-9',
        },
        'update/delta': {
          version: 2,
          timestamp: now,
          state: desired,
          metadata,
          clientToken: 't-9',
        },
        'update/documents': {
          previous: {
            state: { desired: { tone: 'cold', hue: 7 } },
            metadata: { desired: { tone: at(startS), hue: at(startS) } },
            version: 1,
          },
          current: { state: { desired }, metadata: { desired: metadata }, version: 2 },
          timestamp: now,
          clientToken: 't-9',
        },
      })
      expect(await ask('get', { clientToken: 'g' })).toEqual({
        'get/accepted': {
          state: { desired, delta: desired },
          metadata: { desired: metadata },
          version: 2,
          timestamp: now,
          clientToken: 'g',
        },
      })
    })

    test.each([
      ['merges objects', { a: { b: 1, c: 2 } }, { a: { b: 3 } }, { a: { b: 3, c: 2 } }],
      ['replaces arrays', { a: [1, 2] }, { a: [3] }, { a: [3] }],
      ['removes by null at any depth', { a: { b: 1, c: 2 } }, { a: { b: null } }, { a: { c: 2 } }],
      ['removes what is not there', { a: 1 }, { b: null }, { a: 1 }],
      ['replaces a scalar by an object', { b: { c: 3 } }, { b: { c: {} } }, { b: { c: {} } }],
      ['replaces an object by a scalar', { b: { c: 3 } }, { b: 1 }, { b: 1 }],
      ['keeps no null of a new object', {}, { a: { b: null, c: 1 } }, { a: { c: 1 } }],
      ['removes a section by null', { a: 1 }, null, undefined],
      ['removes a section with its last key', { a: 1 }, { a: null }, undefined],
      ['keeps a section that is given empty', { a: 1 }, {}, { a: 1 }],
      ['keeps numbers as they are', { a: 1 }, { a: 2.5e300, b: 0 }, { a: 2.5e300, b: 0 }],
    ])('%s', async (_what, before, patch, after) => {
      const { ask } = await openShadows()
      await ask('update', state(undefined, before))
      await ask('update', state(undefined, patch))
      expect(await ask('get')).toMatchObject({ 'get/accepted': { state: {}, version: 2 } })
      const { 'get/accepted': got } = await ask('get')
      expect((got as { state: Record<string, unknown> }).state['reported']).toEqual(after)
    })

    test('keeps every digit of a number', async () => {
      const { ask, shadows } = await openShadows()
      await ask('update', '{"state":{"reported":{"big":12345678901234567890,"one":1.0}}}')
      const topic = { service: 'shadow', thingName: 'lamp', shadowName: undefined } as const
      const { answer } = await shadows.call({ ...topic, operation: 'get' }, Buffer.alloc(0))
      expect(answer).toContain('{"reported":{"big":12345678901234567890,"one":1.0}}')
    })

    test('with the state null empties the document and does not delete it', async () => {
      const { ask } = await openShadows()
      await ask('update', state({ a: 1 }))
      const answers = await ask('update', { state: null })
      expect(answers['update/accepted']).toMatchObject({ state: null, version: 2 })
      expect(await ask('get')).toMatchObject({ 'get/accepted': { state: {}, version: 2 } })
    })

    test('names another version: the answer is a conflict, with the token', async () => {
      const { ask } = await openShadows()
      await ask('update', state({ a: 1 }))
      const given = { ...state({ a: 2 }), version: 7, clientToken: 't' }
      expect(await ask('update', given)).toEqual({
        'update/rejected': { code: 409, message: 'Version conflict', clientToken: 't' },
      })
      expect(await ask('update', { ...given, version: 1 })).toHaveProperty('update/accepted')
    })

    test('is told without delta when desired and reported agree', async () => {
      const { ask } = await openShadows()
      const answers = await ask('update', state({ a: 1 }, { a: 1.0, b: 2 }))
      expect(Object.keys(answers)).toEqual(['update/accepted', 'update/documents'])
    })
  })

  test.each([
    ['another scalar', { on: true }, { on: false }, { on: true }],
    ['only reported', { on: true }, { on: true, x: 1 }, undefined],
    ['an array as a whole', { l: [1, 3] }, { l: [1, 2] }, { l: [1, 3] }],
    [
      'deep',
      { a: { b: { c: 'd2' } } },
      { a: { b: { c: 'd', e: 'f' } } },
      { a: { b: { c: 'd2' } } },
    ],
    ['nothing reported', { a: 1 }, {}, { a: 1 }],
    ['another type', { a: 1 }, { a: '1' }, { a: 1 }],
    ['equal numbers in other words', { a: 1 }, { a: 1.0 }, undefined],
  ])('the delta of %s', async (_what, desired, reported, delta) => {
    const { ask } = await openShadows()
    await ask('update', state(desired, reported))
    const { 'get/accepted': got } = await ask('get')
    expect((got as { state: Record<string, unknown> }).state['delta']).toEqual(delta)
  })

  const nested = (levels: number): unknown => (levels === 0 ? 1 : { n: nested(levels - 1) })

  test.each([
    ['not JSON', '{', 400, 'Invalid JSON'],
    ['no object', '[]', 400, 'Invalid JSON'],
    ['no state', { clientToken: 't' }, 400, 'Missing required node: state'],
    ['state is a text', { state: 'on' }, 400, 'State node must be an object'],
    ['desired is a number', state(1), 400, 'Desired node must be an object'],
    ['reported is a list', state(undefined, []), 400, 'Reported node must be an object'],
    ['another section', { state: { delta: {} } }, 400, 'State contains an invalid node'],
    ['null in an array', state({ a: [1, null] }), 400, 'State contains an invalid node'],
    ['a version that is none', { ...state({}), version: 'x' }, 400, 'Invalid version'],
    ['a long token', { ...state({}), clientToken: 'x'.repeat(65) }, 400, 'Invalid clientToken'],
    ['9 levels', state(nested(9)), 400, 'JSON contains too many levels of nesting; maximum is 8'],
    [
      'over 8 KiB',
      state({ a: 'x'.repeat(8_192) }),
      413,
      'The payload exceeds the maximum size allowed',
    ],
    [
      'not UTF-8',
      Buffer.from([0x7b, 0xff, 0x7d]),
      415,
      'Unsupported documented encoding; supported encoding is UTF-8',
    ],
  ])('an update is rejected: %s', async (_what, payload, code, message) => {
    const { ask } = await openShadows()
    const answers = await ask('update', payload)
    expect(answers).toEqual({ 'update/rejected': expect.objectContaining({ code, message }) })
    expect(await ask('get')).toHaveProperty('get/rejected')
  })

  test('a document of 8 KiB and one of 8 levels are taken', async () => {
    const { ask } = await openShadows()
    const around = JSON.stringify({ desired: { a: '' } }).length
    const full = await ask('update', state({ a: 'x'.repeat(8_192 - around) }))
    expect(full).toHaveProperty('update/accepted')
    expect(await ask('update', state(nested(8)), 'deep/shadow')).toHaveProperty('update/accepted')
  })

  test.each([
    ['lamp/shadow', "No shadow exists with name: 'lamp'"],
    ['lamp/shadow/name/night', "No shadow exists with name: 'lamp~night'"],
  ])('there is no shadow %s', async (shadow, message) => {
    const { ask } = await openShadows()
    const answer = { code: 404, message, clientToken: 't' }
    expect(await ask('get', { clientToken: 't' }, shadow)).toEqual({ 'get/rejected': answer })
    expect(await ask('delete', { clientToken: 't' }, shadow)).toEqual({ 'delete/rejected': answer })
  })

  test('named shadows are apart from the classic one, and listed in order', async () => {
    const { ask, shadows } = await openShadows()
    for (const name of ['c', 'a', 'b']) {
      await ask('update', state({ name }), `lamp/shadow/name/${name}`)
    }
    await ask('update', state({ classic: 1 }))
    await ask('update', state({ other: 1 }), 'lamps/shadow/name/z')
    await ask('delete', '', 'lamp/shadow/name/b')
    expect(await shadows.names('lamp', { after: '', max: 10 })).toEqual(['a', 'c'])
    expect(await shadows.names('lamp', { after: 'a', max: 1 })).toEqual(['c'])
    expect(await shadows.names('nothing', { after: '', max: 10 })).toEqual([])
    const first = await shadows.list({ prefix: 'lamp', max: 2 })
    expect(first).toEqual({ found: [listed('lamp', ''), listed('lamp', 'a')], last: ['lamp', 'a'] })
    const rest = { found: [listed('lamp', 'c'), listed('lamps', 'z')], last: undefined }
    expect(await shadows.list({ prefix: 'lamp', after: first.last, max: 2 })).toEqual(rest)
    expect((await shadows.list({ prefix: 'lamps', max: 9 })).found).toEqual([listed('lamps', 'z')])
    expect(await shadows.list({ prefix: 'x', max: 9 })).toEqual({ found: [], last: undefined })
  })

  test('the version goes on for 48 hours after a shadow was deleted', async () => {
    const { ask, clock } = await openShadows()
    await ask('update', state({ a: 1 }))
    await ask('update', state({ a: 2 }))
    expect(await ask('delete')).toEqual({ 'delete/accepted': { version: 2, timestamp: startS } })
    clock.advance(47 * 3_600_000)
    expect(await ask('update', state({ a: 3 }))).toMatchObject({
      'update/accepted': { version: 3 },
    })
    await ask('delete')
    clock.advance(49 * 3_600_000)
    expect(await ask('update', state({ a: 4 }))).toMatchObject({
      'update/accepted': { version: 1 },
    })
  })

  test('any updates leave metadata of the shape of the state, and no delta once it is reported', async () => {
    const { ask } = await openShadows()
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(section, section), { maxLength: 4 }), async (updates) => {
        const shadow = `thing-${(count += 1)}/shadow`
        for (const [desired, reported] of updates) {
          await ask('update', state(desired, reported), shadow)
        }
        const { 'get/accepted': got } = await ask('get', '', shadow)
        if (got === undefined) return
        const { state: all, metadata } = got as Record<'state' | 'metadata', Tree>
        for (const part of ['desired', 'reported']) {
          expect(shapeOf(metadata[part])).toEqual(shapeOf(withTimes(all[part])))
        }
        const after = await ask('update', state(undefined, all['desired'] ?? {}), shadow)
        expect(after['update/delta']).toBeUndefined()
      }),
      { numRuns: 40 },
    )
  })
})

test('shadows survive a restart, and a damaged one fails alone, with a line', async () => {
  const folder = await temporaryFolder()
  const first = await open(folder)
  await first.ask('update', state({ a: 1 }))
  await first.ask('update', state({ mark: 'to be damaged' }), 'bad/shadow')
  await first.close()
  const file = path.join(folder, 'data.mdb')
  const bytes = await readFile(file)
  for (let from = bytes.indexOf('to be damaged'); from !== -1;) {
    bytes.write('TO BE', from)
    from = bytes.indexOf('to be damaged', from)
  }
  await writeFile(file, bytes)
  const second = await open(folder)
  expect(await second.ask('get')).toMatchObject({ 'get/accepted': { version: 1 } })
  expect(await second.ask('get', '', 'bad/shadow')).toEqual({
    'get/rejected': { code: 500, message: 'Internal service failure' },
  })
  expect(second.logged.join()).toContain('the shadow bad~ is damaged')
})

type Tree = Record<string, unknown>
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null
const withTimes = (value: unknown): unknown => {
  if (value === undefined || !isTree(value)) return value === undefined ? undefined : at(0)
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, withTimes(member)]),
  )
}
const shapeOf = (value: unknown): unknown =>
  isTree(value)
    ? Object.entries(value)
        .map(([name, member]) => [name, shapeOf(member)])
        .toSorted(([left], [right]) => (String(left) < String(right) ? -1 : 1))
    : typeof value
