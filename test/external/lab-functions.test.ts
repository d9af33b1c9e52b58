import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { assert, asyncProperty, constantFrom, oneof, string } from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createLabFunctions } from '../../src/external/lab-functions.ts'
import type { InvokeFunction } from '../../src/external/lab-functions.ts'
import type {
  ExternalFunctionName,
  ExternalRequest,
} from '../../src/sql/externals/external-request.ts'
import { jsonText } from '../helpers/json-text.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { startStandIn } from './aws-stand-in.ts'

const dialect = {
  version: '2016-03-23',
  isSecondVersion: true,
  wholeDecimalsAreInts: true,
} as const
const never = new AbortController().signal
const roleArn = 'arn:aws:iam::000000000000:role/r'

const item = (text: string, type: 'S' | 'N' = 'S', tableName = 'devices') =>
  ({
    function: 'get_dynamodb',
    tableName,
    partitionKey: { name: 'id', type, text },
    roleArn,
  }) as const
const secret = (secretId: string, key?: string) =>
  ({
    function: 'get_secret',
    secretId,
    secretType: 'SecretString',
    roleArn,
    ...(key !== undefined && { key }),
  }) as const
const bytes = (secretId: string) =>
  ({ function: 'get_secret', secretId, secretType: 'SecretBinary', roleArn }) as const
const shadow = (thingName: string, shadowName?: string) =>
  ({
    function: 'get_thing_shadow',
    thingName,
    roleArn,
    ...(shadowName !== undefined && { shadowName }),
  }) as const
const registry = (operation: 'DescribeThing' | 'ListThingGroupsForThing', thingName: string) =>
  ({ function: 'get_registry_data', operation, thingName, roleArn }) as const
const lambda = { function: 'aws_lambda', functionArn: 'f', inputJson: '{"n":1.50}' } as const

const absent: InvokeFunction = async (name) => ({ kind: 'absent', advice: `make ${name}.mjs` })

function lab(
  files: Readonly<Record<string, string | Buffer>> = {},
  given: Partial<Parameters<typeof createLabFunctions>[0]> = {},
) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-stubs-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const stubsDir = path.join(folder, 'stubs')
  mkdirSync(stubsDir)
  const write = (name: string, content: string | Buffer) => {
    const file = path.join(stubsDir, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  for (const [name, content] of Object.entries(files)) write(name, content)
  const clock = createManualClock()
  const call = createLabFunctions(
    { clock, invokeFunction: absent, emulatorFor: () => undefined, ...given },
    { protoDir: undefined, stubsDir },
  )
  const ask = async (request: ExternalRequest, signal = never) =>
    jsonText(await call(request, signal), dialect)
  return { ask, call, clock, folder, stubsDir, write }
}

describe('stub files', () => {
  const files = {
    'dynamodb/devices.json':
      '[{"id":"d7","n":12345678901234567890},{"id":"d8","tags":["a"]},{"id":"d7","n":2}]',
    'dynamodb/numbers.json': '\uFEFF[{"id":7.0,"at":"x","v":1},{"id":7,"at":"y","v":1.50}]',
    'secrets/app.json': '{"user":"u","n":1.0}',
    'secrets/plain.json': '"not json: \\u00e9"',
    'secrets/prod%2Fdb.json': '{"password":"p"}',
    'secrets/key.bin': Buffer.from([0xff, 0x00]),
    'shadows/t1.json': '{"state":{"reported":{"on":true}}}',
    'shadows/t1/door.json': '{"state":{"reported":{"open":false}}}',
    'shadows/AA%3ABB.json': '{"version":2}',
    'registry/DescribeThing/t1.json': '{"thingName":"t1","attributes":{"room":"r"}}',
    'registry/ListThingGroupsForThing/t1.json': '{"thingGroups":[]}',
  }
  const withSortKey = (text: string): ExternalRequest => ({
    ...item('7', 'N', 'numbers'),
    sortKey: { name: 'at', type: 'S', text },
  })

  test.for<[string, ExternalRequest, string]>([
    ['the item with the key, digit by digit', item('d7'), '{"id":"d7","n":12345678901234567890}'],
    ['no item', item('d9'), ''],
    ['a number as it counts', item('7', 'N', 'numbers'), '{"id":7,"at":"x","v":1}'],
    ['both keys', withSortKey('y'), '{"id":7,"at":"y","v":1.50}'],
    ['no item with both keys', withSortKey('z'), ''],
    [
      'a table by its ARN',
      item('d8', 'S', 'arn:aws:dynamodb:us-east-1:000000000000:table/devices'),
      '{"id":"d8","tags":["a"]}',
    ],
    ['a whole secret', secret('app'), '{"user":"u","n":1}'],
    ['a key of a secret', secret('app', 'user'), '"u"'],
    ['a missing key', secret('app', 'none'), ''],
    ['a secret that is a text', secret('plain'), '"not json: é"'],
    ['a secret with a slash', secret('prod/db', 'password'), '"p"'],
    [
      'a secret by its ARN',
      secret('arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/db-AbC123', 'password'),
      '"p"',
    ],
    ['a binary secret', bytes('key'), '"/wA="'],
    ['the unnamed shadow', shadow('t1'), '{"state":{"reported":{"on":true}}}'],
    ['a named shadow', shadow('t1', 'door'), '{"state":{"reported":{"open":false}}}'],
    ['a thing with a colon', shadow('AA:BB'), '{"version":2}'],
    ['a thing', registry('DescribeThing', 't1'), '{"thingName":"t1","attributes":{"room":"r"}}'],
    ['its groups', registry('ListThingGroupsForThing', 't1'), '{"thingGroups":[]}'],
  ])('give %s', async ([, request, expected]) => {
    expect(await lab(files).ask(request)).toBe(expected)
  })

  test.for<[string, ExternalRequest, string, string]>([
    ['an item', item('d7'), 'dynamodb/devices.json', '[{"id":"d7","note":"any members"}]'],
    [
      'an item with two keys',
      withSortKey('y'),
      'dynamodb/numbers.json',
      '[{"id":7,"at":"y","note":"any members"}]',
    ],
    [
      'a secret',
      secret('a/b'),
      'secrets/a%2Fb.json',
      '{"username":"me","password":"not-a-secret"}',
    ],
    ['bytes', bytes('a'), 'secrets/a.bin', 'any bytes'],
    ['a shadow', shadow('t'), 'shadows/t.json', '{"state":{"reported":{"temp":21}},"version":1}'],
    [
      'a named shadow',
      shadow('t', '$s'),
      'shadows/t/%24s.json',
      '{"state":{"reported":{"temp":21}},"version":1}',
    ],
    [
      'a thing',
      registry('DescribeThing', 't'),
      'registry/DescribeThing/t.json',
      '{"thingName":"t","attributes":{"room":"kitchen"},"version":1}',
    ],
  ])('that are missing are named for %s, and the example works', async (row) => {
    const [, request, file, example] = row
    const { ask, stubsDir, write } = lab()
    const reason = await ask(request).catch(String)
    expect(reason).toContain(`make ${path.join(stubsDir, file)} with `)
    expect(reason).toContain(`such as ${example}`)
    expect(reason).not.toContain('\n')
    write(file, example)
    expect(await ask(request)).not.toBe('')
  })

  test.for<[string, string | Buffer, ExternalRequest, RegExp]>([
    ['dynamodb/devices.json', '{', item('d7'), /devices\.json is not JSON with a list of items/],
    ['dynamodb/devices.json', '{}', item('d7'), /devices\.json is no list of items, such as/],
    [
      'dynamodb/devices.json',
      '[{"id":"d7"},{"ID":"d8"}]',
      item('d7'),
      /devices\.json: item 1 has no text "id", which the statement names as a key/,
    ],
    [
      'dynamodb/devices.json',
      '[{"id":7}]',
      item('7'),
      /item 0 has no text "id", which the statement names as a key of that type/,
    ],
    ['dynamodb/devices.json', '["d7"]', item('7', 'N'), /item 0 has no number "id"/],
    ['secrets/app.json', '17', secret('app'), /app\.json is not JSON with an object, or a text/],
    ['secrets/app.json', '"t"', secret('app', 'k'), /not a JSON object, so it has no keys/],
    ['secrets/app.json', Buffer.from([0xff]), secret('app'), /app\.json is not UTF-8/],
    ['shadows/t.json', '[]', shadow('t'), /t\.json is not JSON with a shadow document/],
    ['shadows/t.json/x', '', shadow('t'), /t\.json cannot be read: is not a regular file/],
    ['shadows', '', shadow('t'), /shadows\/t\.json cannot be read: ENOTDIR/],
    [
      'shadows/t.json',
      ' '.repeat(1024 * 1024 + 1),
      shadow('t'),
      /t\.json cannot be read: has 1048577 bytes; at most 1048576 are read/,
    ],
  ])('%s is refused, with the reason', async ([file, content, request, reason]) => {
    await expect(lab({ [file]: content }).ask(request)).rejects.toThrow(reason)
  })

  test('are read again when they change', async () => {
    const { ask, write } = lab({ 'secrets/s.json': '"one"' })
    expect(await ask(secret('s'))).toBe('"one"')
    write('secrets/s.json', '"two"')
    expect(await ask(secret('s'))).toBe('"two"')
  })

  test('of another case are not those of the name', async () => {
    const { ask, stubsDir } = lab({ 'shadows/thing.json': '{}' })
    await expect(ask(shadow('THING'))).rejects.toThrow(path.join(stubsDir, 'shadows/THING.json'))
  })
})

describe('names from messages', () => {
  const long = 'x'.repeat(2_000)

  test.for<[string, ExternalRequest]>([
    ['a path', shadow('../outside')],
    ['a path to a named shadow', shadow('t', '../../outside')],
    ['the folder above', shadow('..')],
    ['NUL', shadow('t\0')],
    ['another script', shadow('tü')],
    ['a line break', shadow('t\n')],
    ['no name', shadow('')],
    ['a long thing', shadow(long)],
    ['a long table', item('d7', 'S', long)],
    ['a table in a path', item('d7', 'S', '../outside')],
    ['a table of a path in an ARN', item('d7', 'S', 'arn:aws:dynamodb:x:1:table/../outside')],
    ['a long secret', secret('x'.repeat(513))],
    ['a thing of the registry', registry('DescribeThing', '/etc/passwd')],
  ])('that AWS does not take are refused: %s', async ([, request]) => {
    await expect(lab().ask(request)).rejects.toThrow(/is no name of a (table|thing|shadow|secret)/)
  })

  test('that no file can have are refused', async () => {
    await expect(lab().ask(secret('/'.repeat(300)))).rejects.toThrow(
      'a stub cannot be a file with a name of 905 bytes; at most 255 are possible',
    )
  })

  test('never lead out of the folder, nor to the file of another name', async () => {
    // Whatever is asked for, the answer names what asked for it, or there is none.
    const names = ['a', 'A', '..', '.', 'a.b', 'a/b', '%2E', '.a', 'a:b', '...', '../x', 'a b']
    const name = oneof(constantFrom(...names), string({ maxLength: 8, unit: 'binary' }))
    const { ask, folder, stubsDir, write } = lab()
    const written = new Set<string>()
    await assert(
      asyncProperty(name, async (each) => {
        const answer = await ask(secret(each)).catch((thrown: Error) => thrown.message)
        const [, file] = /: make (.*?\.json) with /.exec(answer) ?? []
        if (file === undefined) {
          return written.has(each)
            ? answer === JSON.stringify(each)
            : answer.includes('is no name of a secret')
        }
        expect(path.dirname(file)).toBe(path.join(stubsDir, 'secrets'))
        write(path.relative(stubsDir, file), JSON.stringify(each))
        return written.add(each).has(each)
      }),
      { numRuns: 100 },
    )
    expect(readdirSync(folder)).toEqual(['stubs'])
    expect(written.size).toBeGreaterThan(5)
    for (const each of written) expect(await ask(secret(each))).toBe(JSON.stringify(each))
  })

  test('may be links that the owner of the folder made', async () => {
    const { ask, folder, stubsDir } = lab({ 'shadows/t.json': '{}' })
    writeFileSync(path.join(folder, 'elsewhere.json'), '{"version":3}')
    symlinkSync(path.join(folder, 'elsewhere.json'), path.join(stubsDir, 'shadows/u.json'))
    expect(await ask(shadow('u'))).toBe('{"version":3}')
  })
})

describe('aws_lambda in the lab', () => {
  test('gives what the function of the folder returned', async () => {
    const asked: unknown[] = []
    const invokeFunction: InvokeFunction = async (...call) => {
      asked.push(call.slice(0, 2))
      return { kind: 'answered', payload: '{"v":1.10}', hasFailed: false }
    }
    expect(await lab({}, { invokeFunction }).ask(lambda)).toBe('{"v":1.10}')
    expect(asked).toEqual([['f', '{"n":1.50}']])
  })

  test.for<[string, string, boolean, string]>([
    ['an error of the function', '{"errorMessage":"boom"}', true, 'the function failed: {"error'],
    ['what is no JSON', 'undefined', false, 'the function did not return JSON'],
    ['too much', `"${'x'.repeat(1024 * 1024)}"`, false, 'returned more than 1048576 bytes'],
  ])('fails for %s', async ([, payload, hasFailed, reason]) => {
    const invokeFunction: InvokeFunction = async () => ({ kind: 'answered', payload, hasFailed })
    await expect(lab({}, { invokeFunction }).ask(lambda)).rejects.toThrow(reason)
  })

  test('fails after two seconds, and tells the function that nobody waits', async () => {
    let signalOfCall: AbortSignal | undefined
    const { ask, clock } = lab(
      {},
      {
        invokeFunction: (_name, _payload, signal) => {
          signalOfCall = signal
          return new Promise(() => {})
        },
      },
    )
    const answer = ask(lambda)
    clock.advance(2_000)
    await expect(answer).rejects.toThrow('no answer within 2000 ms')
    expect(signalOfCall?.aborted).toBe(true)
  })

  test('says which function to make', async () => {
    await expect(lab().ask(lambda)).rejects.toThrow('nothing answers in the lab yet: make f.mjs')
  })
})

async function withEmulator(names: readonly ExternalFunctionName[]) {
  const standIn = await startStandIn(({ target = '', url }) => ({
    body: target.endsWith('GetItem')
      ? '{"Item":{"id":{"S":"of the emulator"}}}'
      : target.endsWith('GetSecretValue')
        ? '{"SecretString":"of the emulator"}'
        : JSON.stringify({ url, thingName: 'of the emulator' }),
  }))
  onTestFinished(() => standIn.close())
  return lab(
    {
      'dynamodb/devices.json': '[{"id":"d7"}]',
      'secrets/s.json': '"of the file"',
      'shadows/t.json': '{"of":"the file"}',
      'registry/DescribeThing/t.json': '{"of":"the file"}',
    },
    {
      emulatorFor: (name) => (names.includes(name) ? async () => standIn.access : undefined),
    },
  )
}

describe('an emulator', () => {
  const requests = [
    item('d7'),
    secret('s'),
    shadow('t'),
    shadow('t', 'named'),
    registry('DescribeThing', 't'),
    lambda,
  ]

  test('answers for its services', async () => {
    const names = ['get_dynamodb', 'get_secret', 'get_thing_shadow', 'get_registry_data'] as const
    const { ask } = await withEmulator([...names, 'aws_lambda'])
    const answers = []
    for (const request of requests) answers.push(await ask(request))
    expect(answers).toEqual([
      '{"id":"of the emulator"}',
      '"of the emulator"',
      '{"url":"/things/t/shadow","thingName":"of the emulator"}',
      '{"url":"/things/t/shadow?name=named","thingName":"of the emulator"}',
      '{"thingName":"of the emulator"}',
      '{"url":"/2015-03-31/functions/f/invocations","thingName":"of the emulator"}',
    ])
  })

  test('of one service leaves the others to the files', async () => {
    const { ask } = await withEmulator(['get_dynamodb'])
    expect(await ask(item('d7'))).toBe('{"id":"of the emulator"}')
    expect(await ask(secret('s'))).toBe('"of the file"')
    expect(await ask(shadow('t'))).toBe('{"of":"the file"}')
  })
})
