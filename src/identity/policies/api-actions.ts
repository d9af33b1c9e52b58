import type { PolicyRequest } from './policy.ts'
import { resourceArn } from './resource-arn.ts'
import type { ResourceOwner } from './resource-arn.ts'

/**
 * The IAM action and resource that a caller needs for each route of the HTTP API. AWS's operations
 * have AWS's names (Service Authorization Reference, "AWS IoT"); those of Sluice, under `/v1`, have
 * names of the service `sluice`. Lists, and operations on no single resource, need `*`.
 *
 * A route that is not in the table is forbidden to every caller.
 */
/**
 * `functionName` is the name of a function without its qualifier, `resource` an ARN; both are
 * undefined where the path has something else. `rest` is the end of a path that takes any: a topic,
 * or an ARN.
 */
type PathName =
  | 'ruleName'
  | 'rest'
  | 'clientId'
  | 'thingName'
  | 'certificateId'
  | 'policyName'
  | 'target'
  | 'functionName'
  | 'resource'

export interface ApiRequest {
  /** Method and pattern of the route: `GET /rules/:ruleName`. */
  readonly route: string
  /** The names in the path, decoded exactly as the route's handler reads them. */
  readonly names: Readonly<Partial<Record<PathName, string | undefined>>>
  readonly query: Readonly<Record<string, unknown>>
  /** Whether the request gives a new resource tags. */
  readonly isTagged?: boolean | undefined
  /** The certificate that a header names, as the caller gives it. */
  readonly principal?: string | undefined
  /** Reads the body as JSON; undefined if it is not JSON. */
  readonly body: () => unknown
}

export interface ApiActions {
  /**
   * @returns the actions that must all be allowed, none for a public route; undefined for an
   *   unknown route
   */
  requiredFor(request: ApiRequest): readonly PolicyRequest[] | undefined
}

/**
 * `*`, a whole ARN, the resource part of an ARN of AWS IoT (`rule/x`, `topic/a/b`, `client/c`), or
 * of Lambda (`function:f`).
 */
type Resource = string
type Requirement = (request: ApiRequest) => readonly (readonly [action: string, Resource])[]

const anyResource = '*'
const functionPrefix = 'function:'
const ruleOf = ({ names }: ApiRequest): Resource => `rule/${names.ruleName ?? ''}`
const topicOf = ({ names }: ApiRequest): Resource => `topic/${names.rest ?? ''}`

/** A named shadow is a resource of its own. */
const onShadow =
  (action: string): Requirement =>
  ({ names: { thingName = '' }, query: { name } }) => [
    [action, typeof name === 'string' ? `thing/${thingName}/${name}` : `thing/${thingName}`],
  ]
const onRule =
  (action: string): Requirement =>
  (request) => [[action, ruleOf(request)]]
const onAll =
  (action: string): Requirement =>
  () => [[action, anyResource]]
const onDestination =
  (action: string): Requirement =>
  ({ names }) => [[action, arnOrAny(names.rest)]]
const onClient =
  (action: string): Requirement =>
  ({ names }) => [[action, `client/${names.clientId ?? ''}`]]
const onThing =
  (action: string): Requirement =>
  ({ names: { thingName = '' } }) => [[action, `thing/${thingName}`]]
const onCertificate =
  (action: string): Requirement =>
  ({ names: { certificateId = '' } }) => [[action, `cert/${certificateId.toLowerCase()}`]]
const onPolicy =
  (action: string): Requirement =>
  ({ names: { policyName = '' } }) => [[action, `policy/${policyName}`]]
/** AWS IoT asks for the target of a policy, not for the policy. */
const onTarget =
  (action: string): Requirement =>
  ({ body }) => [[action, arnIn(body(), 'target')]]
const onPrincipal =
  (action: string): Requirement =>
  ({ principal }) => [[action, arnOrAny(principal)]]
const nothing: Requirement = () => []
const readsPayloads = ({ payloads }: ApiRequest['query']): ReturnType<Requirement> =>
  isTrue(payloads) ? [['sluice:ReadPayloads', anyResource]] : []

/** Route -> what it takes. docs/SECURITY.md lists the same. */
export const apiRequirements: Readonly<Record<string, Requirement>> = Object.freeze({
  // The roles of its actions are not asked for (iam:PassRole): they are roles of the engine.
  'POST /rules/:ruleName': (request) => [
    ['iot:CreateTopicRule', ruleOf(request)],
    ...(request.isTagged ? ([['iot:TagResource', ruleOf(request)]] as const) : []),
  ],
  'PATCH /rules/:ruleName': onRule('iot:ReplaceTopicRule'),
  'GET /rules/:ruleName': onRule('iot:GetTopicRule'),
  'DELETE /rules/:ruleName': onRule('iot:DeleteTopicRule'),
  'POST /rules/:ruleName/enable': onRule('iot:EnableTopicRule'),
  'POST /rules/:ruleName/disable': onRule('iot:DisableTopicRule'),
  'GET /rules': onAll('iot:ListTopicRules'),
  'POST /tags': ({ body }) => [['iot:TagResource', arnIn(body())]],
  'POST /untag': ({ body }) => [['iot:UntagResource', arnIn(body())]],
  'GET /tags': ({ query }) => [['iot:ListTagsForResource', arnIn(query)]],
  'POST /things/:thingName': onThing('iot:CreateThing'),
  'GET /things/:thingName': onThing('iot:DescribeThing'),
  'PATCH /things/:thingName': onThing('iot:UpdateThing'),
  'DELETE /things/:thingName': onThing('iot:DeleteThing'),
  'GET /things': onAll('iot:ListThings'),
  'PUT /things/:thingName/principals': onAll('iot:AttachThingPrincipal'),
  'DELETE /things/:thingName/principals': onAll('iot:DetachThingPrincipal'),
  'GET /things/:thingName/principals': onThing('iot:ListThingPrincipals'),
  'GET /things/:thingName/principals-v2': onThing('iot:ListThingPrincipalsV2'),
  'GET /principals/things': onAll('iot:ListPrincipalThings'),
  'GET /principals/things-v2': onAll('iot:ListPrincipalThingsV2'),
  'POST /keys-and-certificate': onAll('iot:CreateKeysAndCertificate'),
  'POST /certificates': onAll('iot:CreateCertificateFromCsr'),
  'POST /certificate/register-no-ca': onAll('iot:RegisterCertificateWithoutCA'),
  'GET /certificates/:certificateId': onCertificate('iot:DescribeCertificate'),
  'GET /certificates': onAll('iot:ListCertificates'),
  'PUT /certificates/:certificateId': onCertificate('iot:UpdateCertificate'),
  'DELETE /certificates/:certificateId': onCertificate('iot:DeleteCertificate'),
  'POST /policies/:policyName': (request) => [
    ...onPolicy('iot:CreatePolicy')(request),
    ...(memberOf(request.body(), 'tags') === undefined ? [] : onPolicy('iot:TagResource')(request)),
  ],
  'GET /policies/:policyName': onPolicy('iot:GetPolicy'),
  'GET /policies': onAll('iot:ListPolicies'),
  'DELETE /policies/:policyName': onPolicy('iot:DeletePolicy'),
  'POST /policies/:policyName/version': onPolicy('iot:CreatePolicyVersion'),
  'GET /policies/:policyName/version': onPolicy('iot:ListPolicyVersions'),
  'GET /policies/:policyName/version/:policyVersionId': onPolicy('iot:GetPolicyVersion'),
  'PATCH /policies/:policyName/version/:policyVersionId': onPolicy('iot:SetDefaultPolicyVersion'),
  'DELETE /policies/:policyName/version/:policyVersionId': onPolicy('iot:DeletePolicyVersion'),
  'PUT /target-policies/:policyName': onTarget('iot:AttachPolicy'),
  'POST /target-policies/:policyName': onTarget('iot:DetachPolicy'),
  'POST /attached-policies/:target': ({ names: { target } }) => [
    ['iot:ListAttachedPolicies', arnOrAny(target)],
  ],
  'POST /policy-targets/:policyName': onPolicy('iot:ListTargetsForPolicy'),
  'PUT /principal-policies/:policyName': onPrincipal('iot:AttachPrincipalPolicy'),
  'DELETE /principal-policies/:policyName': onPrincipal('iot:DetachPrincipalPolicy'),
  'GET /principal-policies': onPrincipal('iot:ListPrincipalPolicies'),
  'GET /policy-principals': onAll('iot:ListPolicyPrincipals'),
  'GET /endpoint': onAll('iot:DescribeEndpoint'),
  'POST /destinations': ({ body }) => [['iot:CreateTopicRuleDestination', newDestinations(body())]],
  'GET /destinations': onAll('iot:ListTopicRuleDestinations'),
  'GET /destinations/*': onDestination('iot:GetTopicRuleDestination'),
  'PATCH /destinations': ({ body }) => [['iot:UpdateTopicRuleDestination', arnIn(body(), 'arn')]],
  'DELETE /destinations/*': onDestination('iot:DeleteTopicRuleDestination'),
  // Of those who sign; for all others the token is the permission.
  'GET /confirmdestination/*': onAll('iot:ConfirmTopicRuleDestination'),

  'POST /topics/*': (request) =>
    isTrue(request.query['retain'])
      ? [
          ['iot:Publish', topicOf(request)],
          ['iot:RetainPublish', topicOf(request)],
        ]
      : [['iot:Publish', topicOf(request)]],
  'GET /retainedMessage/*': (request) => [['iot:GetRetainedMessage', topicOf(request)]],
  'GET /retainedMessage': onAll('iot:ListRetainedMessages'),
  'DELETE /connections/:clientId': onClient('iot:DeleteConnection'),
  'GET /connections/:clientId': onClient('iot:GetConnection'),
  'GET /connections/:clientId/subscriptions': onClient('iot:ListSubscriptions'),
  'POST /connections/:clientId/messages': onClient('iot:SendDirectMessage'),
  'GET /things/:thingName/shadow': onShadow('iot:GetThingShadow'),
  'POST /things/:thingName/shadow': onShadow('iot:UpdateThingShadow'),
  'DELETE /things/:thingName/shadow': onShadow('iot:DeleteThingShadow'),
  'GET /api/things/shadow/ListNamedShadowsForThing/:thingName': ({ names: { thingName = '' } }) => [
    ['iot:ListNamedShadowsForThing', `thing/${thingName}`],
  ],

  'GET /': nothing,
  'GET /console': nothing,
  'GET /console/*': nothing,
  'GET /v1/health': nothing,
  'GET /v1/live': nothing,
  'GET /v1/log-level': onAll('sluice:GetLogLevel'),
  'PUT /v1/log-level': onAll('sluice:PutLogLevel'),
  'GET /v1/metrics': onAll('sluice:GetMetrics'),
  'GET /v1/openapi.json': onAll('sluice:GetApiDocument'),
  'GET /v1/asyncapi.json': onAll('sluice:GetAsyncApiDocument'),
  ...Object.fromEntries(
    [
      '',
      '/',
      '/json',
      '/yaml',
      '/static/index.html',
      '/static/swagger-initializer.js',
      '/static/theme/sluice.css',
      '/static/theme/sluice.js',
      '/static/theme/icon.svg',
      '/static/*',
    ].map((path) => [`GET /v1/docs${path}`, onAll('sluice:GetApiDocument')] as const),
  ),
  // A payload of the caller's own may call functions with any role: that is more than trying a
  // rule.
  'POST /v1/evaluate': ({ body }) => [
    ['sluice:Evaluate', ruleNamedBy(body(), 'topicRulePayload') ?? anyResource],
  ],
  'POST /v1/check': onAll('sluice:CheckRule'),
  'GET /v1/rules/:ruleName/delivery': onRule('sluice:GetRuleDelivery'),
  'PUT /v1/rules/:ruleName/delivery': onRule('sluice:PutRuleDelivery'),
  'GET /v1/rules/stats': onAll('sluice:ListRuleStatistics'),
  'GET /v1/rules/:ruleName/stats': onRule('sluice:GetRuleStatistics'),
  'GET /v1/outbox': onAll('sluice:GetOutbox'),
  'GET /v1/cluster': onAll('sluice:GetCluster'),
  'GET /v1/event-source-mappings/:uuid/batches': onAll('sluice:ListMappingBatches'),
  'GET /v1/lab/calls': onAll('sluice:ListLabCalls'),
  'GET /v1/clients': onAll('sluice:ListClients'),
  'GET /v1/clients/:clientId': onClient('sluice:GetClient'),
  'GET /v1/shadows': onAll('sluice:ListShadows'),
  'GET /v1/lab/faults': onAll('sluice:ListLabFaults'),
  'POST /v1/lab/faults': onAll('sluice:AddLabFault'),
  'DELETE /v1/lab/faults': onAll('sluice:RemoveLabFaults'),
  'DELETE /v1/lab/faults/:faultId': onAll('sluice:RemoveLabFault'),
  'GET /v1/streams': onAll('sluice:ListStreams'),
  'GET /v1/streams/:streamName': onAll('sluice:DescribeStream'),
  'GET /v1/streams/:streamName/records': ({ query }) => [
    ['sluice:ListStreamRecords', anyResource],
    ...readsPayloads(query),
  ],
  'GET /v1/events': ({ query }) => [['sluice:WatchMessages', anyResource], ...readsPayloads(query)],
  'GET /v1/trace': onAll('sluice:WatchMessages'),
  'GET /v1/dead-letters': ({ query }) => [
    ['sluice:ListDeadLetters', ruleNamedBy(query, 'ids') ?? anyResource],
  ],
  'POST /v1/dead-letters/replay': ({ body }) => [
    ['sluice:ReplayDeadLetters', ruleNamedBy(body(), 'ids') ?? anyResource],
  ],
  'DELETE /v1/dead-letters/:id': onAll('sluice:DeleteDeadLetter'),
} satisfies Record<string, Requirement>)

const onFunction =
  (action: string): Requirement =>
  ({ names: { functionName } }) => [
    [action, functionName === undefined ? anyResource : `${functionPrefix}${functionName}`],
  ]
const onResource =
  (action: string): Requirement =>
  ({ names: { resource } }) => [[action, resource ?? anyResource]]

/** Of Lambda's event source mappings and functions. */
export const lambdaRequirements: Readonly<Record<string, Requirement>> = Object.freeze({
  'POST /2015-03-31/event-source-mappings': onAll('lambda:CreateEventSourceMapping'),
  'POST /2015-03-31/event-source-mappings/': onAll('lambda:CreateEventSourceMapping'),
  'GET /2015-03-31/event-source-mappings': onAll('lambda:ListEventSourceMappings'),
  'GET /2015-03-31/event-source-mappings/': onAll('lambda:ListEventSourceMappings'),
  'GET /2015-03-31/event-source-mappings/:uuid': onAll('lambda:GetEventSourceMapping'),
  'PUT /2015-03-31/event-source-mappings/:uuid': onAll('lambda:UpdateEventSourceMapping'),
  'DELETE /2015-03-31/event-source-mappings/:uuid': onAll('lambda:DeleteEventSourceMapping'),
  'GET /2017-03-31/tags/:resource': onResource('lambda:ListTags'),
  'POST /2017-03-31/tags/:resource': onResource('lambda:TagResource'),
  'DELETE /2017-03-31/tags/:resource': onResource('lambda:UntagResource'),
  'GET /2015-03-31/functions': onAll('lambda:ListFunctions'),
  'GET /2015-03-31/functions/': onAll('lambda:ListFunctions'),
  'GET /2015-03-31/functions/:functionName': onFunction('lambda:GetFunction'),
  'GET /2015-03-31/functions/:functionName/configuration': onFunction(
    'lambda:GetFunctionConfiguration',
  ),
  'POST /2015-03-31/functions/:functionName/invocations': onFunction('lambda:InvokeFunction'),
} satisfies Record<string, Requirement>)

const requirements = Object.freeze({ ...apiRequirements, ...lambdaRequirements })

export function createApiActions(owner: ResourceOwner): ApiActions {
  const complete = (resource: Resource) =>
    resource === anyResource || resource.startsWith('arn:')
      ? resource
      : resourceArn(resource, owner, resource.startsWith(functionPrefix) ? 'lambda' : 'iot')

  return {
    requiredFor(request) {
      // HEAD is GET without the body.
      const route = request.route.replace(/^HEAD /, 'GET ')
      if (!Object.hasOwn(requirements, route)) return undefined
      return requirements[route]?.(request).map(([action, resource]) => ({
        action,
        resource: complete(resource),
      }))
    },
  }
}

/** As the caller gives it; what is no ARN stands for all of them, and the handler refuses it. */
function arnIn(given: unknown, member = 'resourceArn'): Resource {
  return arnOrAny(memberOf(given, member))
}

/** The ARN of a new destination is not known yet: the caller needs those of all of its kind. */
function newDestinations(body: unknown): Resource {
  const isOfInfluxdb = memberOf(memberOf(body, 'destinationConfiguration'), 'influxDBConfiguration')
  return `ruledestination/${isOfInfluxdb === undefined ? 'http' : 'influxdb'}/*`
}

function arnOrAny(arn: unknown): Resource {
  return typeof arn === 'string' && arn.startsWith('arn:') ? arn : anyResource
}

/** The rule that alone is concerned; undefined when `wider` is given as well. */
function ruleNamedBy(given: unknown, wider: string): Resource | undefined {
  const name = memberOf(given, 'ruleName')
  if (typeof name !== 'string' || name === '') return undefined
  return memberOf(given, wider) === undefined ? `rule/${name}` : undefined
}

function memberOf(given: unknown, name: string): unknown {
  if (typeof given !== 'object' || given === null || !Object.hasOwn(given, name)) return undefined
  return (given as Readonly<Record<string, unknown>>)[name]
}

const isTrue = (value: unknown) => value === true || value === 'true'
