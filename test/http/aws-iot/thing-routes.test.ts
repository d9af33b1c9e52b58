import {
  AttachThingPrincipalCommand,
  CreateKeysAndCertificateCommand,
  CreateThingCommand,
  DeleteThingCommand,
  DescribeThingCommand,
  DetachThingPrincipalCommand,
  ListPrincipalThingsCommand,
  ListPrincipalThingsV2Command,
  ListThingPrincipalsCommand,
  ListThingPrincipalsV2Command,
  ListThingsCommand,
  UpdateThingCommand,
} from '@aws-sdk/client-iot'
import type { IoTClient, ListThingsCommandInput } from '@aws-sdk/client-iot'
import { describe, expect, test } from 'vitest'
import { arn } from '../guarded-server.ts'
import { startServer } from '../http-fixtures.ts'

const create = (
  iot: IoTClient,
  thingName: string,
  attributes: Record<string, string> = {},
  thingTypeName?: string,
) =>
  iot.send(
    new CreateThingCommand({
      thingName,
      attributePayload: { attributes },
      ...(thingTypeName !== undefined && { thingTypeName }),
    }),
  )
const describeThing = (iot: IoTClient, thingName: string) =>
  iot.send(new DescribeThingCommand({ thingName }))
const rejection = (name: string) => ({ name })

describe('a thing', () => {
  test('is created, read, changed and deleted', async () => {
    const { iot } = await startServer()
    const made = await create(iot, 'lamp:1', { room: 'kitchen' }, 'lamp')
    expect(made).toMatchObject({ thingName: 'lamp:1', thingArn: arn('thing/lamp:1') })
    expect(await describeThing(iot, 'lamp:1')).toMatchObject({
      defaultClientId: 'lamp:1',
      thingId: made.thingId,
      thingTypeName: 'lamp',
      attributes: { room: 'kitchen' },
      version: 1,
    })
    const update = (change: object) =>
      iot.send(new UpdateThingCommand({ thingName: 'lamp:1', ...change }))
    await update({ attributePayload: { attributes: { floor: '1' }, merge: true } })
    expect((await describeThing(iot, 'lamp:1')).attributes).toEqual({ room: 'kitchen', floor: '1' })
    await update({ attributePayload: { attributes: { room: '' }, merge: true } })
    expect((await describeThing(iot, 'lamp:1')).attributes).toEqual({ floor: '1' })
    await update({ attributePayload: { attributes: { x: 'y' } }, expectedVersion: 3 })
    await update({ removeThingType: true })
    const described = await describeThing(iot, 'lamp:1')
    expect(described).toMatchObject({ attributes: { x: 'y' }, version: 5 })
    expect(described.thingTypeName).toBeUndefined()
    await expect(update({ expectedVersion: 2 })).rejects.toMatchObject(
      rejection('VersionConflictException'),
    )
    const remove = (expectedVersion?: number) =>
      iot.send(
        new DeleteThingCommand({
          thingName: 'lamp:1',
          ...(expectedVersion !== undefined && { expectedVersion }),
        }),
      )
    await expect(remove(4)).rejects.toMatchObject(rejection('VersionConflictException'))
    await remove(5)
    await remove()
    await expect(describeThing(iot, 'lamp:1')).rejects.toMatchObject(
      rejection('ResourceNotFoundException'),
    )
  })

  test('is the same thing, or another one, when it is created again', async () => {
    const { iot } = await startServer()
    const { thingId } = await create(iot, 't', { a: '1' })
    expect((await create(iot, 't', { a: '1', empty: '' })).thingId).toBe(thingId)
    await expect(create(iot, 't', { a: '2' })).rejects.toMatchObject({
      name: 'ResourceAlreadyExistsException',
      resourceArn: arn('thing/t'),
    })
    // Names that differ in case alone are two things.
    await create(iot, 'T', { a: '2' })
    expect((await describeThing(iot, 't')).attributes).toEqual({ a: '1' })
  })

  const four = { a: '1', b: '2', c: '3', d: '4' }
  test.each<[string, Record<string, string>, string | undefined]>([
    ['a b', {}, undefined],
    ['t', { 'a b': 'c' }, undefined],
    ['t', { a: 'b c' }, undefined],
    ['t', { a: 'x'.repeat(801) }, undefined],
    ['t', four, undefined],
    ['t', {}, 'no type'],
  ])('is refused: %j %j', async (name, attributes, type) => {
    const { iot } = await startServer()
    await expect(create(iot, name, attributes, type)).rejects.toMatchObject(
      rejection('InvalidRequestException'),
    )
    await create(iot, 't', four, 'type')
  })

  test('is found in pages, by its attributes and by its type', async () => {
    const { iot } = await startServer()
    for (const name of ['e', 'd', 'c', 'b', 'a']) {
      await create(iot, name, { room: `${name}-room` }, name < 'c' ? 'early' : undefined)
    }
    const list = async (query: ListThingsCommandInput) => {
      const names: (string | undefined)[][] = []
      let nextToken: string | undefined
      do {
        const input = { ...query, ...(nextToken !== undefined && { nextToken }) }
        const page = await iot.send(new ListThingsCommand(input))
        names.push((page.things ?? []).map(({ thingName }) => thingName))
        ;({ nextToken } = page)
      } while (nextToken !== undefined)
      return names
    }
    expect(await list({ maxResults: 2 })).toEqual([['a', 'b'], ['c', 'd'], ['e']])
    expect(await list({ thingTypeName: 'early' })).toEqual([['a', 'b']])
    expect(await list({ attributeName: 'room', attributeValue: 'b-room' })).toEqual([['b']])
    expect(await list({ attributeName: 'room', attributeValue: 'b' })).toEqual([[]])
    const prefix = { attributeName: 'room', attributeValue: 'b', usePrefixAttributeValue: true }
    expect(await list(prefix)).toEqual([['b']])
    await expect(list({ nextToken: 'eA' })).rejects.toMatchObject(
      rejection('InvalidRequestException'),
    )
  })
})

test('certificates are attached to things', async () => {
  const { iot } = await startServer()
  await create(iot, 't1')
  await create(iot, 't2')
  const { certificateArn: principal = '' } = await iot.send(new CreateKeysAndCertificateCommand({}))
  const attach = (thingName: string, thingPrincipalType?: 'EXCLUSIVE_THING') =>
    iot.send(
      new AttachThingPrincipalCommand({
        thingName,
        principal,
        ...(thingPrincipalType && { thingPrincipalType }),
      }),
    )
  const detach = (thingName: string) =>
    iot.send(new DetachThingPrincipalCommand({ thingName, principal }))
  await attach('t1')
  await attach('t2')
  const { principals } = await iot.send(new ListThingPrincipalsCommand({ thingName: 't1' }))
  expect(principals).toEqual([principal])
  const ofThing = await iot.send(new ListThingPrincipalsV2Command({ thingName: 't1' }))
  expect(ofThing.thingPrincipalObjects).toEqual([
    { principal, thingPrincipalType: 'NON_EXCLUSIVE_THING' },
  ])
  expect((await iot.send(new ListPrincipalThingsCommand({ principal }))).things).toEqual([
    't1',
    't2',
  ])
  await expect(attach('t1', 'EXCLUSIVE_THING')).rejects.toMatchObject(
    rejection('InvalidRequestException'),
  )
  await expect(iot.send(new DeleteThingCommand({ thingName: 't1' }))).rejects.toMatchObject(
    rejection('InvalidRequestException'),
  )
  await detach('t2')
  await attach('t1', 'EXCLUSIVE_THING')
  const ofPrincipal = await iot.send(new ListPrincipalThingsV2Command({ principal }))
  expect(ofPrincipal.principalThingObjects).toEqual([
    { thingName: 't1', thingPrincipalType: 'EXCLUSIVE_THING' },
  ])
  await expect(attach('t2')).rejects.toMatchObject(rejection('InvalidRequestException'))
  await detach('t1')
  await detach('t1')
  await iot.send(new DeleteThingCommand({ thingName: 't1' }))
})
