import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { invalidField, throwFaults } from '../base/errors.ts'
import type { SluiceError } from '../base/errors.ts'
import { errorActionIndex } from '../outbox/outbox.ts'
import type { ServiceKind } from '../outbox/outbox.ts'
import type { CompiledStatement } from '../sql/sql.ts'
import { fieldOfAction } from './action/action.ts'
import type { ActionContext, ActionDelivery, ActionKind, CompiledAction } from './action/action.ts'
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
 * @param context `faults` gets what is wrong instead of its being thrown; what is returned is not
 *   used then
 * @throws SluiceError SqlParseException or InvalidRequestException, naming the action and the
 *   field; with the faults of all actions when there are several
 */
export function compileActions(
  definitions: {
    readonly actions: readonly ActionDefinition[]
    readonly errorAction?: ActionDefinition | undefined
  },
  statement: CompiledStatement,
  context: Omit<ActionContext, 'index' | 'delivery' | 'faults' | 'faultyFields'> & {
    readonly faults?: SluiceError[] | undefined
    /** Fields that the schema has refused. */
    readonly faultyFields?: ReadonlySet<string> | undefined
    readonly deliveryOf: (index: number) => ActionDelivery
    readonly refusalOf?: RefusalOf | undefined
  },
): CompiledActions {
  const { deliveryOf, refusalOf = () => undefined, ...given } = context
  const { faults = [], faultyFields = new Set() } = given
  const shared = { ...given, faults, faultyFields }
  // A faulty definition may name no action, or several.
  const compile = (definition: ActionDefinition, index: number): CompiledAction[] =>
    Object.entries<object>(definition).flatMap(([kind, fields]) => {
      if (!isActionKind(kind)) return []
      const own = { ...shared, index, delivery: deliveryOf(index) }
      const compiled = compileAction(kind, fields, statement, own)
      const refusal = refusalOf(kind, fields)
      if (refusal !== undefined) {
        faults.push(invalidField(`${fieldOfAction(index)}.${kind}`, `: ${refusal}`))
      }
      return [compiled]
    })
  const { actions, errorAction } = definitions
  const compiled = actions.flatMap(compile)
  const [compiledErrorAction] = errorAction ? compile(errorAction, errorActionIndex) : []
  if (!given.faults) throwFaults(faults)
  return { actions: compiled, errorAction: compiledErrorAction }
}

function compileAction(
  kind: ActionKind,
  fields: object,
  statement: CompiledStatement,
  context: ActionContext,
): CompiledAction {
  // The schema of its kind has accepted the definition, or made it fit.
  if (kind === 'kinesis') {
    return compileKinesisAction(fields as KinesisActionDefinition, statement, context)
  }
  if (kind === 'republish') {
    return compileRepublishAction(fields as RepublishActionDefinition, statement, context)
  }
  return compileServiceAction(serviceActions[kind], fields, statement, context)
}

function isActionKind(name: string): name is ActionKind {
  return Object.hasOwn(schemas, name)
}
