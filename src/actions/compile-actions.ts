import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { SluiceError, invalidRequest } from '../base/errors.ts'
import { errorActionIndex } from '../outbox/outbox.ts'
import type { ServiceKind } from '../outbox/outbox.ts'
import type { CompiledStatement } from '../sql/sql.ts'
import { fieldOfAction } from './action/action.ts'
import type { ActionContext, ActionDelivery, ActionKind, CompiledAction } from './action/action.ts'
import { throwFaults } from './action/action-template.ts'
import { closed } from './action/field-types.ts'
import { compileServiceAction } from './action/service-action.ts'
import type { ServiceAction } from './action/service-action.ts'
import { cloudwatchAlarmAction } from './kinds/cloudwatch-alarm.ts'
import { cloudwatchLogsAction } from './kinds/cloudwatch-logs.ts'
import { cloudwatchMetricAction } from './kinds/cloudwatch-metric.ts'
import { dynamodbAction } from './kinds/dynamodb.ts'
import { dynamodbV2Action } from './kinds/dynamodb-v2.ts'
import { firehoseAction } from './kinds/firehose.ts'
import { httpAction } from './kinds/http.ts'
import { influxdbAction } from './kinds/influxdb.ts'
import { iotAnalyticsAction } from './kinds/iot-analytics.ts'
import { iotEventsAction } from './kinds/iot-events.ts'
import { iotSitewiseAction } from './kinds/iot-sitewise.ts'
import { kafkaAction } from './kinds/kafka.ts'
import { compileKinesisAction, kinesisActionSchema } from './kinds/kinesis.ts'
import type { KinesisActionDefinition } from './kinds/kinesis.ts'
import { lambdaAction } from './kinds/lambda.ts'
import { locationAction } from './kinds/location.ts'
import { elasticsearchAction, openSearchAction } from './kinds/open-search.ts'
import { compileRepublishAction, republishActionSchema } from './kinds/republish.ts'
import type { RepublishActionDefinition } from './kinds/republish.ts'
import { s3Action } from './kinds/s3.ts'
import { salesforceAction } from './kinds/salesforce.ts'
import { snsAction } from './kinds/sns.ts'
import { sqsAction } from './kinds/sqs.ts'
import { stepFunctionsAction } from './kinds/step-functions.ts'
import { timestreamAction } from './kinds/timestream.ts'

/** The actions that call a service other than Kinesis, by the members of AWS's Action union. */
const serviceActions: { readonly [Kind in ServiceKind]: ServiceAction } = {
  cloudwatchAlarm: cloudwatchAlarmAction,
  cloudwatchLogs: cloudwatchLogsAction,
  cloudwatchMetric: cloudwatchMetricAction,
  dynamoDB: dynamodbAction,
  dynamoDBv2: dynamodbV2Action,
  elasticsearch: elasticsearchAction,
  firehose: firehoseAction,
  http: httpAction,
  influxDB: influxdbAction,
  iotAnalytics: iotAnalyticsAction,
  iotEvents: iotEventsAction,
  iotSiteWise: iotSitewiseAction,
  kafka: kafkaAction,
  lambda: lambdaAction,
  location: locationAction,
  openSearch: openSearchAction,
  s3: s3Action,
  salesforce: salesforceAction,
  sns: snsAction,
  sqs: sqsAction,
  stepFunctions: stepFunctionsAction,
  timestream: timestreamAction,
}

const schemas: Readonly<Record<ActionKind, TSchema>> = {
  kinesis: kinesisActionSchema,
  republish: republishActionSchema,
  ...(Object.fromEntries(
    Object.entries(serviceActions).map(([kind, { schema }]) => [kind, schema]),
  ) as Record<ServiceKind, TSchema>),
}

/** The names of AWS's Action union, in alphabetical order. */
export const actionKinds: readonly ActionKind[] = (Object.keys(schemas) as ActionKind[]).toSorted()

/** AWS IoT API Reference, Action: an object with one member. */
export const actionSchema = Type.Object(
  Object.fromEntries(actionKinds.map((kind) => [kind, Type.Optional(schemas[kind])])),
  closed,
)

/** An entry of `actions`, or `errorAction`: an object with one member, named after its kind. */
export type ActionDefinition =
  | { readonly kinesis: KinesisActionDefinition }
  | { readonly republish: RepublishActionDefinition }
  /** Checked against the schema of its kind. */
  | { readonly [Kind in ServiceKind]?: object }

/** Why an action with these fields cannot be carried out here; undefined when it can. */
export type RefusalOf = (kind: ActionKind, fields: object) => string | undefined

export interface CompiledActions {
  /** One for each definition, in order. */
  readonly actions: readonly CompiledAction[]
  readonly errorAction: CompiledAction | undefined
}

/**
 * Compiles the actions of a rule.
 *
 * @throws SluiceError SqlParseException or InvalidRequestException, naming the action and the
 *   field; with the faults of all actions when several have one
 */
export function compileActions(
  definitions: {
    readonly actions: readonly ActionDefinition[]
    readonly errorAction?: ActionDefinition | undefined
  },
  statement: CompiledStatement,
  context: Pick<
    ActionContext,
    'ruleName' | 'region' | 'topicLimits' | 'payloadBytesMax' | 'httpUrlProblem'
  > & {
    readonly deliveryOf: (index: number) => ActionDelivery
    readonly refusalOf?: RefusalOf | undefined
  },
): CompiledActions {
  const { deliveryOf, refusalOf = () => undefined, ...shared } = context
  const faults: SluiceError[] = []
  const compile = (definition: ActionDefinition, index: number): CompiledAction[] => {
    try {
      const own = { ...shared, index, delivery: deliveryOf(index) }
      const compiled = compileAction(definition, statement, own)
      const [fields = {}] = Object.values<object>(definition)
      const refusal = refusalOf(compiled.kind, fields)
      if (refusal === undefined) return [compiled]
      throw invalidRequest(`${fieldOfAction(index)}.${compiled.kind}: ${refusal}`)
    } catch (thrown) {
      if (!(thrown instanceof SluiceError)) throw thrown
      faults.push(thrown)
      return []
    }
  }
  const { actions, errorAction } = definitions
  const compiled = actions.flatMap(compile)
  const [compiledErrorAction] = errorAction ? compile(errorAction, errorActionIndex) : []
  throwFaults(faults)
  return { actions: compiled, errorAction: compiledErrorAction }
}

function compileAction(
  definition: ActionDefinition,
  statement: CompiledStatement,
  context: ActionContext,
): CompiledAction {
  if ('kinesis' in definition) return compileKinesisAction(definition.kinesis, statement, context)
  if ('republish' in definition) {
    return compileRepublishAction(definition.republish, statement, context)
  }
  const [[kind, fields] = [undefined, undefined]] = Object.entries(definition)
  if (!isServiceKind(kind)) {
    throw new SluiceError(
      'InvalidRequestException',
      `${fieldOfAction(context.index)} names no action of AWS IoT`,
    )
  }
  return compileServiceAction(serviceActions[kind], fields, statement, context)
}

function isServiceKind(name: string | undefined): name is ServiceKind {
  return name !== undefined && Object.hasOwn(serviceActions, name)
}
