import {
  ConfirmTopicRuleDestinationCommand,
  CreateTopicRuleDestinationCommand,
  DeleteTopicRuleDestinationCommand,
  GetTopicRuleDestinationCommand,
  ListTopicRuleDestinationsCommand,
  UpdateTopicRuleDestinationCommand,
  paginateListTopicRuleDestinations,
} from '@aws-sdk/client-iot'
import type { TopicRuleDestinationConfiguration } from '@aws-sdk/client-iot'
import { describe, expect, test, vi } from 'vitest'
import { startServer } from '../http-fixtures.ts'
import type { StartedServer } from '../http-fixtures.ts'
import { admin, arn, clientsOf, session, startGuarded } from '../guarded-server.ts'

/** AWS's own client makes, confirms and removes the destinations of HTTP actions. */

const url = 'https://example.com/hook'
const create = ({ iot }: StartedServer, confirmationUrl = url) =>
  iot.send(
    new CreateTopicRuleDestinationCommand({
      destinationConfiguration: { httpUrlConfiguration: { confirmationUrl } },
    }),
  )

interface Confirmation {
  readonly enableUrl: string
  readonly confirmationToken: string
}
async function confirmationOf({ asked }: StartedServer): Promise<Confirmation> {
  await vi.waitFor(() => expect(asked).toHaveLength(1))
  return JSON.parse(asked[0]?.body.toString() ?? '') as Confirmation
}

test('a destination lives from its creation to its deletion', async () => {
  const server = await startServer()
  const { iot } = server
  const { topicRuleDestination: made = {} } = await create(server)
  expect(made).toEqual({
    arn: expect.stringMatching(
      /^arn:aws:iot:eu-central-1:123456789012:ruledestination\/http\/[0-9a-f-]{36}$/,
    ),
    status: 'IN_PROGRESS',
    statusReason: 'Awaiting confirmation.',
    createdAt: new Date(1_700_000_000_123),
    lastUpdatedAt: new Date(1_700_000_000_123),
    httpUrlProperties: { confirmationUrl: url },
  })
  const { enableUrl, confirmationToken } = await confirmationOf(server)
  // Whoever got the request follows the URL, and signs nothing.
  expect(enableUrl).toBe(`${server.url}/confirmdestination/${confirmationToken}`)
  expect((await fetch(enableUrl)).status).toBe(200)
  await iot.send(new ConfirmTopicRuleDestinationCommand({ confirmationToken }))

  const get = new GetTopicRuleDestinationCommand({ arn: made.arn })
  expect((await iot.send(get)).topicRuleDestination).toMatchObject({ status: 'ENABLED' })
  const update = { arn: made.arn, status: 'DISABLED' } as const
  await iot.send(new UpdateTopicRuleDestinationCommand(update))
  const { destinationSummaries } = await iot.send(new ListTopicRuleDestinationsCommand({}))
  expect(destinationSummaries).toEqual([
    {
      arn: made.arn,
      status: 'DISABLED',
      createdAt: made.createdAt,
      lastUpdatedAt: made.lastUpdatedAt,
      httpUrlSummary: { confirmationUrl: url },
    },
  ])
  await iot.send(new DeleteTopicRuleDestinationCommand({ arn: made.arn }))
  await expect(iot.send(get)).rejects.toMatchObject({ name: 'UnauthorizedException' })
})

test('a destination of an InfluxDB is enabled by its token, or says why it is not', async () => {
  const { iot } = await startServer()
  const configuration = {
    endpoint: 'https://influx.example.com:8181',
    influxDBVersion: 'V3',
    secretId: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:influx',
    secretType: 'SecretString',
    secretKey: 'token',
  } as const
  const make = (
    influxDBConfiguration: TopicRuleDestinationConfiguration['influxDBConfiguration'],
  ) =>
    iot.send(
      new CreateTopicRuleDestinationCommand({
        destinationConfiguration: { influxDBConfiguration },
      }),
    )
  const { topicRuleDestination: made = {} } = await make(configuration)
  expect(made).toEqual({
    arn: expect.stringMatching(/:ruledestination\/influxdb\/[0-9a-f-]{36}$/) as string,
    status: 'ENABLED',
    createdAt: new Date(1_700_000_000_123),
    lastUpdatedAt: new Date(1_700_000_000_123),
    influxDBProperties: configuration,
  })
  const { arn: of } = made
  await iot.send(new UpdateTopicRuleDestinationCommand({ arn: of, status: 'DISABLED' }))
  const { destinationSummaries } = await iot.send(new ListTopicRuleDestinationsCommand({}))
  expect(destinationSummaries).toMatchObject([
    { arn: of, status: 'DISABLED', influxDBSummary: configuration },
  ])
  const { topicRuleDestination: stale } = await make({ ...configuration, secretId: 'stale' })
  expect(stale).toMatchObject({ status: 'ERROR', statusReason: 'the token is refused' })
  await expect(make(configuration)).rejects.toMatchObject({
    name: 'ResourceAlreadyExistsException',
  })
  await iot.send(new DeleteTopicRuleDestinationCommand({ arn: of }))
  await expect(iot.send(new GetTopicRuleDestinationCommand({ arn: of }))).rejects.toMatchObject({
    name: 'UnauthorizedException',
  })
})

test('pages hold all destinations', async () => {
  const server = await startServer()
  for (const path of ['a', 'b', 'c']) await create(server, `https://example.com/${path}`)
  const urls: string[] = []
  for await (const page of paginateListTopicRuleDestinations(
    { client: server.iot, pageSize: 2 },
    {},
  )) {
    urls.push(
      ...(page.destinationSummaries ?? []).map((it) => it.httpUrlSummary?.confirmationUrl ?? ''),
    )
  }
  expect(urls.toSorted()).toEqual(['a', 'b', 'c'].map((path) => `https://example.com/${path}`))
})

test.each<[string, TopicRuleDestinationConfiguration, RegExp]>([
  [
    'of a VPC',
    { vpcConfiguration: { subnetIds: ['subnet-1'], vpcId: 'vpc-1', roleArn: 'r' } },
    /vpcConfiguration is not supported/,
  ],
  [
    'of both kinds',
    {
      httpUrlConfiguration: { confirmationUrl: url },
      influxDBConfiguration: {
        endpoint: 'https://influx.example',
        influxDBVersion: 'V2',
        secretId: 's',
      },
    },
    /has both/,
  ],
  ...(
    [
      ['without TLS', { endpoint: 'http://influx.example' }, /endpoint: .*begins with https/],
      [
        'at another port',
        { endpoint: 'https://influx.example:80' },
        /only 443, 8443, 8086 and 8181/,
      ],
      ['with a query', { endpoint: 'https://influx.example/?a=b' }, /a query or a fragment/],
      ['nearby', { endpoint: 'https://10.0.0.1' }, /SLUICE_HTTP_ACTION_HOSTS/],
      ['of another version', { influxDBVersion: 'V1' as 'V2' }, /influxDBVersion/],
      ['without a secret', { secretId: '' }, /secretId/],
      ['with another type', { secretType: 'Text' as 'SecretString' }, /secretType/],
    ] as const
  ).map(([what, members, expected]): [string, TopicRuleDestinationConfiguration, RegExp] => [
    `of an InfluxDB ${what}`,
    {
      influxDBConfiguration: {
        endpoint: 'https://influx.example',
        influxDBVersion: 'V2',
        secretId: 's',
        ...members,
      },
    },
    expected,
  ]),
  ['of nothing', {}, /neither httpUrlConfiguration nor/],
  [
    'at an address nearby',
    { httpUrlConfiguration: { confirmationUrl: 'https://192.168.1.7/x' } },
    /192\.168\.1\.7 is not called: SLUICE_HTTP_ACTION_HOSTS does not list it/,
  ],
  [
    'on this machine',
    { httpUrlConfiguration: { confirmationUrl: 'https://localhost/x' } },
    /SLUICE_HTTP_ACTION_HOSTS does not list it/,
  ],
  [
    'without TLS',
    { httpUrlConfiguration: { confirmationUrl: 'http://example.com' } },
    /begins with https/,
  ],
  [
    'with a long URL',
    { httpUrlConfiguration: { confirmationUrl: `https://example.com/${'x'.repeat(2_000)}` } },
    /more than 2000 characters/,
  ],
])('a destination %s is refused', async (_, destinationConfiguration, expected) => {
  const { iot } = await startServer()
  const made = iot.send(new CreateTopicRuleDestinationCommand({ destinationConfiguration }))
  await expect(made).rejects.toMatchObject({
    name: 'InvalidRequestException',
    message: expect.stringMatching(expected),
  })
})

const allow = (Action: string, Resource: string) => ({ Effect: 'Allow', Action, Resource })

describe('with access keys', () => {
  test('a destination of an InfluxDB needs the permission for its kind', async () => {
    const server = await startGuarded({ keys: [maker] })
    const influxDBConfiguration = {
      endpoint: 'https://influx.example',
      influxDBVersion: 'V2',
      secretId: 's',
    } as const
    const made = clientsOf(server, maker).iot.send(
      new CreateTopicRuleDestinationCommand({
        destinationConfiguration: { influxDBConfiguration },
      }),
    )
    await expect(made).rejects.toMatchObject(denied)
  })

  const any = arn('ruledestination/http/*')
  const maker = {
    ...admin,
    statement: [allow('iot:CreateTopicRuleDestination', any), allow('iot:*Destinations', '*')],
  }
  const reader = {
    ...session,
    statement: [allow('iot:GetTopicRuleDestination', any), allow('iot:UpdateTopicRule', '*')],
  }
  const denied = { name: 'AccessDeniedException', $metadata: { httpStatusCode: 403 } }

  test('each call needs its action on the destination', async () => {
    const server = await startGuarded({ keys: [maker, reader] })
    const [{ iot: making }, { iot: reading }] = [
      clientsOf(server, maker),
      clientsOf(server, reader),
    ]
    const { topicRuleDestination: { arn: made } = {} } = await create({ ...server, iot: making })
    await making.send(new ListTopicRuleDestinationsCommand({}))
    await reading.send(new GetTopicRuleDestinationCommand({ arn: made }))
    await expect(create({ ...server, iot: reading })).rejects.toMatchObject(denied)
    for (const command of [
      new GetTopicRuleDestinationCommand({ arn: made }),
      new UpdateTopicRuleDestinationCommand({ arn: made, status: 'IN_PROGRESS' }),
      new DeleteTopicRuleDestinationCommand({ arn: made }),
      // Signed, it is a call like the others, whatever the token.
      new ConfirmTopicRuleDestinationCommand({ confirmationToken: 'unknown' }),
    ]) {
      await expect(making.send(command as GetTopicRuleDestinationCommand)).rejects.toMatchObject(
        denied,
      )
    }
    await expect(reading.send(new ListTopicRuleDestinationsCommand({}))).rejects.toMatchObject(
      denied,
    )
  })

  test('an endpoint that follows the URL of its request signs nothing', async () => {
    const server = await startGuarded()
    const { iot } = clientsOf(server, admin)
    const { topicRuleDestination: { arn: made } = {} } = await create({ ...server, iot })
    const { enableUrl } = await confirmationOf(server)
    expect((await fetch(`${enableUrl}x`)).status).toBe(400)
    expect((await fetch(enableUrl)).status).toBe(200)
    const got = await iot.send(new GetTopicRuleDestinationCommand({ arn: made }))
    expect(got.topicRuleDestination?.status).toBe('ENABLED')
    // Nothing else is open to anyone.
    for (const path of ['/destinations', `/destinations/${encodeURIComponent(made ?? '')}`]) {
      expect((await fetch(`${server.url}${path}`)).headers.get('x-amzn-errortype')).toBe(
        'MissingAuthenticationTokenException',
      )
    }
  })
})
