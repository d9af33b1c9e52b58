import {
  DescribeEndpointCommand,
  ListTagsForResourceCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-iot'
import { describe, expect, test } from 'vitest'
import { payloadOf } from '../../rules/rule-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

const arnOf = (name: string, account = '123456789012', region = 'eu-central-1') =>
  `arn:aws:iot:${region}:${account}:rule/${name}`

async function serverWithRule(tags: Record<string, string> = {}) {
  const server = await startServer()
  await server.store.create('r', payloadOf(), tags)
  return server
}

describe('tags of a rule', () => {
  const resourceArn = arnOf('r')

  test('are added, replaced, listed and removed', async () => {
    const { iot, store } = await serverWithRule({ team: 'north', cost: '7' })
    const tags = [{ Key: 'cost', Value: '8' }, { Key: 'empty' }]
    await iot.send(new TagResourceCommand({ resourceArn, tags }))
    const listed = await iot.send(new ListTagsForResourceCommand({ resourceArn }))
    expect(listed.tags).toEqual([
      { Key: 'team', Value: 'north' },
      { Key: 'cost', Value: '8' },
      { Key: 'empty', Value: '' },
    ])
    expect(listed.nextToken).toBeUndefined()
    const tagKeys = ['team', 'unknown']
    await iot.send(new UntagResourceCommand({ resourceArn, tagKeys }))
    expect(store.get('r').tags).toEqual({ cost: '8', empty: '' })
  })

  test('survive a replacement of the rule', async () => {
    const { iot, store } = await serverWithRule()
    await iot.send(new TagResourceCommand({ resourceArn, tags: [{ Key: 'a', Value: 'b' }] }))
    await store.replace('r', payloadOf('other'))
    expect(store.get('r').tags).toEqual({ a: 'b' })
  })

  test('are at most 50', async () => {
    const { iot, store } = await serverWithRule({ first: '' })
    const tags = Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: '' }))
    await expect(iot.send(new TagResourceCommand({ resourceArn, tags }))).rejects.toMatchObject({
      name: 'LimitExceededException',
      $metadata: { httpStatusCode: 410 },
    })
    expect(store.get('r').tags).toEqual({ first: '' })
  })

  test.each([
    ['an unknown rule', arnOf('nope'), 'ResourceNotFoundException', 404],
    ['a rule of another account', arnOf('r', '999999999999'), 'ResourceNotFoundException', 404],
    [
      'a rule of another region',
      arnOf('r', undefined, 'us-east-1'),
      'ResourceNotFoundException',
      404,
    ],
    [
      'another kind of resource',
      resourceArn.replace('rule', 'thing'),
      'InvalidRequestException',
      400,
    ],
    ['no ARN', 'r', 'InvalidRequestException', 400],
  ])('of %s', async (_what, arn, name, httpStatusCode) => {
    const { iot } = await serverWithRule()
    const error = { name, $metadata: { httpStatusCode } }
    const given = { resourceArn: arn }
    await expect(iot.send(new ListTagsForResourceCommand(given))).rejects.toMatchObject(error)
    await expect(iot.send(new TagResourceCommand({ ...given, tags: [] }))).rejects.toMatchObject(
      error,
    )
    await expect(
      iot.send(new UntagResourceCommand({ ...given, tagKeys: [] })),
    ).rejects.toMatchObject(error)
  })

  test.each([
    [[{ Key: '', Value: '' }], 'a tag without a key'],
    [[{ Key: 'k'.repeat(129), Value: '' }], 'more than 128 characters'],
    [[{ Key: 'k', Value: 'v'.repeat(257) }], 'more than 256 characters'],
    [[{ Key: 'aws:k', Value: '' }], 'begins with aws:'],
    [[{ Key: 'k' }, { Key: 'k' }], 'given twice'],
  ])('refuse %j', async (tags, message) => {
    const { iot } = await serverWithRule()
    await expect(iot.send(new TagResourceCommand({ resourceArn, tags }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
      message: expect.stringContaining(message) as string,
    })
  })
})

describe('DescribeEndpoint', () => {
  test.each(['iot:Data-ATS', 'iot:Data', undefined])('%s is this port', async (endpointType) => {
    const { iot, port } = await startServer()
    const answer = await iot.send(new DescribeEndpointCommand({ endpointType }))
    expect(answer.endpointAddress).toBe(`127.0.0.1:${port}`)
  })

  test('refuses the endpoint of anything else', async () => {
    const { iot } = await startServer()
    await expect(
      iot.send(new DescribeEndpointCommand({ endpointType: 'iot:Jobs' })),
    ).rejects.toMatchObject({ name: 'InvalidRequestException' })
  })
})
