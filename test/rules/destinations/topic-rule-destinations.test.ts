import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

import { answer, accepted, createGate, dayMs, open, refused, url } from './destination-parts.ts'

/** Topic rule destinations: who agrees, what is kept, and what a record waits for. */

describe('a destination', () => {
  test('is asked for in the form of AWS, and is enabled by its token', async () => {
    const store = await open()
    store.start()
    const { arn, status } = await store.create(url, 'https://sluice.example:8080')
    expect(status).toBe('IN_PROGRESS')
    await store.settle()
    const { confirmationToken: token, ...confirmation } = store.confirmation()
    expect(confirmation).toEqual({
      arn,
      enableUrl: `https://sluice.example:8080/confirmdestination/${token}`,
      messageType: 'DestinationConfirmation',
    })
    expect(token).toMatch(/^[\w-]{43}$/)
    expect(store.asked[0]?.url).toBe(`${url}/?confirmationToken=${token}`)
    expect(store.asked[0]?.headers).toEqual([
      ['content-type', 'application/json'],
      ['x-amz-rules-engine-message-type', 'DestinationConfirmation'],
      ['x-amz-rules-engine-destination-arn', arn],
    ])
    expect(store.disabledReason(url)).toMatch(/ is IN_PROGRESS\. Awaiting confirmation\.$/)
    await store.confirm(token)
    expect(store.get(arn)).toMatchObject({ status: 'ENABLED', statusReason: undefined })
    expect(store.disabledReason(url)).toBeUndefined()
    // An endpoint may follow the URL twice.
    await store.confirm(token)
  })

  test.each([
    ['https://example.com', 'https://example.com/?confirmationToken=T'],
    ['https://example.com/', 'https://example.com/?confirmationToken=T'],
    ['https://example.com/a?b=c', 'https://example.com/a?b=c&confirmationToken=T'],
  ])('with the URL %s is asked for at %s', async (confirmationUrl, expected) => {
    const store = await open()
    store.start()
    await store.create(confirmationUrl)
    await store.settle()
    const { confirmationToken: token } = store.confirmation()
    expect(store.asked[0]?.url).toBe(expected.replace('=T', `=${token}`))
  })

  test('in the lab is enabled at once, and nobody is asked', async () => {
    const store = await open({ isLab: true })
    store.start()
    const { arn } = await store.create('http://127.0.0.1:3000/')
    await store.update(arn, 'IN_PROGRESS')
    await store.settle()
    expect(store.get(arn).status).toBe('ENABLED')
    expect(store.asked).toEqual([])
  })

  test('can be disabled and enabled once it is confirmed, and asked for again', async () => {
    const store = await open()
    store.start()
    const { arn } = await store.create(url)
    await store.settle()
    for (const status of ['ENABLED', 'DISABLED', 'ERROR', 'DELETING', 'x']) {
      await expect(store.update(arn, status)).rejects.toMatchObject({
        code: 'InvalidRequestException',
      })
    }
    const { confirmationToken: first } = store.confirmation()
    await store.confirm(first)
    await store.update(arn, 'DISABLED')
    expect(store.disabledReason(url)).toMatch(/ is DISABLED\.$/)
    // The token confirms, and does not undo what the owner has decided since.
    await store.confirm(first)
    expect(store.get(arn).status).toBe('DISABLED')
    await store.update(arn, 'ENABLED')
    await store.update(arn, 'ENABLED')
    await store.update(arn, 'IN_PROGRESS')
    await store.settle()
    expect(store.get(arn).status).toBe('IN_PROGRESS')
    await expect(store.confirm(first)).rejects.toMatchObject({ code: 'InvalidRequestException' })
    await store.confirm(store.confirmation(1).confirmationToken)
    expect(store.disabledReason(url)).toBeUndefined()
  })

  test('is asked for again when its endpoint cannot be reached, a few times', async () => {
    const store = await open()
    store.start()
    store.answerWith(() => Promise.reject(new Error('connect ECONNREFUSED')))
    const { arn } = await store.create(url)
    await store.settle()
    expect(store.get(arn).statusReason).toMatch(/failed: connect ECONNREFUSED$/)
    expect(store.disabledReason(url)).toMatch(/ECONNREFUSED/)
    store.answerWith(() => Promise.resolve(answer(503)))
    for (const delayMs of [10_000, 60_000, 600_000, 3_600_000, dayMs]) {
      store.clock.advance(delayMs)
      await store.settle()
    }
    expect(store.asked).toHaveLength(5)
    expect(store.get(arn).statusReason).toMatch(/the endpoint answered 503$/)
    await store.update(arn, 'IN_PROGRESS')
    await store.settle()
    expect(store.asked).toHaveLength(6)
  })

  test('is an error when nobody confirms it for three days', async () => {
    const store = await open()
    store.start()
    const { arn } = await store.create(url)
    await store.settle()
    store.clock.advance(3 * dayMs)
    expect(store.get(arn)).toMatchObject({
      status: 'ERROR',
      statusReason: 'The confirmation timed out.',
    })
    const { confirmationToken: token } = store.confirmation()
    await expect(store.confirm(token)).rejects.toThrow(/expired/)
    await expect(store.update(arn, 'ENABLED')).rejects.toThrow(/is ERROR/)
  })

  test('that is deleted is not there, and is asked for no more', async () => {
    const store = await open()
    store.start()
    store.answerWith(() => Promise.reject(new Error('gone')))
    const { arn } = await store.create(url)
    await store.settle()
    await store.delete(arn)
    store.clock.advance(dayMs)
    await store.settle()
    expect(store.asked).toHaveLength(1)
    expect(store.disabledReason(url)).toMatch(/there is no topic rule destination/)
    for (const missing of [arn, 'x', arn.replace('eu-central-1', 'eu-west-1')]) {
      expect(() => store.get(missing)).toThrow(`Access to TopicRuleDestination '${missing}'`)
      await expect(store.delete(missing)).rejects.toMatchObject({ code: 'UnauthorizedException' })
    }
    expect(await readdir(store.filesFolder)).toEqual([])
  })
})

describe('on disk', () => {
  test('is what was answered, readable by its owner alone', async () => {
    const first = await open()
    first.start()
    const { arn } = await first.create(url)
    await first.settle()
    const [file = ''] = await readdir(first.filesFolder)
    const { mode } = await stat(path.join(first.filesFolder, file))
    expect(mode & 0o777).toBe(0o600)

    // As after kill -9: nothing is closed.
    const second = await open(first)
    second.start()
    await second.settle()
    // The endpoint has the request, so that it is not asked again.
    expect(second.asked).toEqual([])
    await second.confirm(first.confirmation().confirmationToken)
    const third = await open(first)
    expect(third.get(arn).status).toBe('ENABLED')
    expect(third.disabledReason(url)).toBeUndefined()
  })

  test('is whom nobody has asked yet, for the next start', async () => {
    const first = await open()
    await first.create(url)
    await first.settle()
    expect(first.asked).toEqual([])
    const second = await open(first)
    second.start()
    await second.settle()
    expect(second.asked).toHaveLength(1)
  })

  test('a file that cannot be used leaves out its own destination', async () => {
    const first = await open()
    const { arn } = await first.create(url)
    const other = await first.create('https://example.com/other')
    const [, id = ''] = /http\/(.*)$/.exec(arn) ?? []
    const file = path.join(first.filesFolder, `${id}.json`)
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.slice(0, 100))
    await writeFile(path.join(first.filesFolder, 'copy.json'), text)
    const second = await open(first)
    expect(second.list({ maxResults: 10 }).destinations.map((it) => it.arn)).toEqual([other.arn])
    expect(second.lines.filter((line) => /is left out/.test(line))).toHaveLength(2)
    expect((await readdir(first.filesFolder)).toSorted()).toContain(`${id}.json`)
  })

  test('a change that cannot be written does not hold', async () => {
    const store = await open()
    await rm(store.filesFolder, { recursive: true })
    await expect(store.create(url)).rejects.toMatchObject({ code: 'InternalException' })
    expect(store.list({ maxResults: 10 }).destinations).toEqual([])
    await store.ensure(url)
    expect(store.lines.at(-1)).toMatch(/could not be made: make it by hand/)
  })
})

test('a rule makes its destination once', async () => {
  const store = await open()
  await Promise.all([store.ensure(url), store.ensure(url)])
  await store.ensure(url)
  expect(store.list({ maxResults: 10 }).destinations).toHaveLength(1)
  await expect(store.create(url)).rejects.toMatchObject({ code: 'ResourceAlreadyExistsException' })
})

test('pages neither repeat nor skip a destination', async () => {
  const store = await open()
  const made = new Set<string>()
  for (let index = 0; index < 5; index++) {
    made.add((await store.create(`https://example.com/${index}`)).arn)
  }
  const seen: string[] = []
  let nextToken: string | undefined
  do {
    const page = store.list({ maxResults: 2, nextToken })
    seen.push(...page.destinations.map((it) => it.arn))
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  expect(seen).toHaveLength(5)
  expect(new Set(seen)).toEqual(made)
  expect(() => store.list({ maxResults: 2, nextToken: 'x' })).toThrow(/nextToken/)
})

describe('of an InfluxDB', () => {
  const influxdb = {
    endpoint: 'https://influx.example.com:8086',
    influxDBVersion: 'V2',
    secretId: 'token',
  } as const

  test('it is enabled when the token is taken, and asked again when it is to be enabled', async () => {
    const store = await open()
    store.probeWith(refused)
    const { arn, status, statusReason } = await store.createInfluxdb(influxdb)
    expect(arn).toMatch(/:ruledestination\/influxdb\/[0-9a-f-]{36}$/)
    expect([status, statusReason]).toEqual(['ERROR', 'the token is refused'])
    expect(store.influxdbOf(arn)).toEqual({
      disabledReason: `the topic rule destination ${arn} of ${influxdb.endpoint} is ERROR. the token is refused`,
    })
    await expect(store.update(arn, 'DISABLED')).rejects.toThrow(/it has to be ENABLED/)
    await expect(store.update(arn, 'GONE')).rejects.toThrow(/none of ENABLED, DISABLED/)
    store.probeWith(accepted)
    await store.update(arn, 'ENABLED')
    expect(store.get(arn)).toMatchObject({ status: 'ENABLED', statusReason: undefined })
    expect(store.influxdbOf(arn)).toEqual(influxdb)
    await store.update(arn, 'DISABLED')
    expect(store.influxdbOf(arn)).toMatchObject({
      disabledReason: expect.stringMatching(/is DISABLED/) as string,
    })
    store.probeWith(refused)
    await store.update(arn, 'IN_PROGRESS')
    expect(store.get(arn)).toMatchObject({ status: 'ERROR' })
    await store.delete(arn)
    expect(store.influxdbOf(arn)).toMatchObject({
      disabledReason: expect.stringMatching(/there is no topic rule/) as string,
    })
  })

  test('it is there after a restart, beside those of HTTP', async () => {
    const first = await open()
    const { arn } = await first.createInfluxdb({ ...influxdb, secretKey: 'k' })
    const { arn: http } = await first.create(url)
    await first.close()
    const second = await open({ folder: first.folder })
    expect(second.influxdbOf(arn)).toEqual({ ...influxdb, secretKey: 'k' })
    const { destinations } = second.list({ maxResults: 10 })
    expect(destinations.map((each) => each.arn).toSorted()).toEqual([http, arn].toSorted())
    // The kind belongs to the ARN.
    const wrong = arn.replace('/influxdb/', '/http/')
    expect(() => second.get(wrong)).toThrow(/was denied/)
    await expect(second.createInfluxdb({ ...influxdb, secretKey: 'k' })).rejects.toMatchObject({
      code: 'ResourceAlreadyExistsException',
      details: { resourceArn: arn },
    })
  })

  test('it is gone when it was deleted while the InfluxDB was asked', async () => {
    const store = await open()
    const { arn } = await store.createInfluxdb(influxdb)
    await store.update(arn, 'DISABLED')
    const asked = createGate()
    store.probeWith(() => asked.opened)
    const updated = store.update(arn, 'ENABLED')
    await store.delete(arn)
    asked.open()
    await expect(updated).rejects.toMatchObject({ code: 'UnauthorizedException' })
    expect(store.list({ maxResults: 10 }).destinations).toEqual([])
  })

  test('no more than 16 are asked at a time', async () => {
    const store = await open()
    const asked = createGate()
    store.probeWith(() => asked.opened)
    const making = (secretId: string) => store.createInfluxdb({ ...influxdb, secretId })
    const made = Array.from({ length: 16 }, (_, index) => making(`s${index}`))
    await expect(making('more')).rejects.toMatchObject({
      code: 'ConflictingResourceUpdateException',
    })
    asked.open()
    await Promise.all(made)
    await making('more')
  })

  test('the lab enables it without asking', async () => {
    const store = await open({ isLab: true })
    const endpoint = 'http://127.0.0.1:9999'
    expect(await store.createInfluxdb({ ...influxdb, endpoint })).toMatchObject({
      status: 'ENABLED',
    })
  })
})
