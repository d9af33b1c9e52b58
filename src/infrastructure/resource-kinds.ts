/**
 * What CloudFormation makes of a resource: its name, its ARN and the value of `Ref`
 * (CloudFormation Template Reference, "Return values" of each resource type).
 */
interface ResourceKind {
  /** The property that holds the name. */
  readonly nameProperty: string
  /** `Ref` of most resources is their name. */
  readonly ref?: 'arn' | 'queueUrl' | undefined
  readonly arn: (name: string, place: Place) => string
  /** Other attributes that are the name (`TopicName`). */
  readonly nameAttributes?: readonly string[] | undefined
  /** Other names of the attribute `Arn` (`TopicArn`). */
  readonly arnAttribute?: string | undefined
  /** A made-up name that fits the rules of the service. */
  readonly madeUpName?: ((logicalId: string) => string) | undefined
}

interface Place {
  readonly region: string
  readonly accountId: string
}

const regional =
  (service: string, prefix: string, suffix = '') =>
  (name: string, { region, accountId }: Place) =>
    `arn:aws:${service}:${region}:${accountId}:${prefix}${name}${suffix}`

const kind = (
  nameProperty: string,
  arn: ResourceKind['arn'],
  more: Omit<ResourceKind, 'nameProperty' | 'arn'> = {},
): ResourceKind => ({ nameProperty, arn, ...more })

const lambdaFunction = kind('FunctionName', regional('lambda', 'function:'))
const table = kind('TableName', regional('dynamodb', 'table/'))
const stateMachine = kind('StateMachineName', regional('states', 'stateMachine:'), {
  ref: 'arn',
  nameAttributes: ['Name'],
})

const kinds: Readonly<Record<string, ResourceKind>> = {
  'AWS::Kinesis::Stream': kind('Name', regional('kinesis', 'stream/')),
  'AWS::KinesisFirehose::DeliveryStream': kind(
    'DeliveryStreamName',
    regional('firehose', 'deliverystream/'),
  ),
  'AWS::Lambda::Function': lambdaFunction,
  'AWS::Serverless::Function': lambdaFunction,
  'AWS::DynamoDB::Table': table,
  'AWS::DynamoDB::GlobalTable': table,
  'AWS::Serverless::SimpleTable': table,
  'AWS::S3::Bucket': kind('BucketName', (name) => `arn:aws:s3:::${name}`, {
    madeUpName: (logicalId) => logicalId.toLowerCase().slice(0, 63),
  }),
  'AWS::SQS::Queue': kind('QueueName', regional('sqs', ''), {
    ref: 'queueUrl',
    nameAttributes: ['QueueName'],
  }),
  'AWS::SNS::Topic': kind('TopicName', regional('sns', ''), {
    ref: 'arn',
    nameAttributes: ['TopicName'],
    arnAttribute: 'TopicArn',
  }),
  'AWS::StepFunctions::StateMachine': stateMachine,
  'AWS::Serverless::StateMachine': { ...stateMachine, nameProperty: 'Name' },
  'AWS::Logs::LogGroup': kind('LogGroupName', regional('logs', 'log-group:', ':*')),
  'AWS::IAM::Role': kind(
    'RoleName',
    (name, { accountId }) => `arn:aws:iam::${accountId}:role/${name}`,
  ),
  'AWS::CloudWatch::Alarm': kind('AlarmName', regional('cloudwatch', 'alarm:')),
  'AWS::Location::Tracker': kind('TrackerName', regional('geo', 'tracker/'), {
    arnAttribute: 'TrackerArn',
  }),
  'AWS::Timestream::Database': kind('DatabaseName', regional('timestream', 'database/')),
  'AWS::IoTEvents::Input': kind('InputName', regional('iotevents', 'input/')),
  'AWS::IoT::TopicRule': kind('RuleName', regional('iot', 'rule/')),
  'AWS::IoT::TopicRuleDestination': kind('', regional('iot', 'ruledestination/http/'), {
    ref: 'arn',
  }),
  'AWS::MSK::Cluster': kind('ClusterName', regional('kafka', 'cluster/'), { ref: 'arn' }),
}

export function resourceKind(type: string): ResourceKind | undefined {
  return Object.hasOwn(kinds, type) ? kinds[type] : undefined
}

export function queueUrl(name: string, { region, accountId }: Place): string {
  return `https://sqs.${region}.amazonaws.com/${accountId}/${name}`
}

const markNameMax = 48
/** The longest mark. */
export const placeholderMarkMax = 'unresolved-'.length + markNameMax

/** What the placeholders in a text have in common whatever they stand for: `unresolved-name`. */
export function placeholderMark(text: string): readonly string[] {
  return text.match(/unresolved-[a-zA-Z0-9-]*/g) ?? []
}

/** A placeholder that fits where the member wants an ARN. */
export function placeholderFor(member: string, name: string, place: Place): string {
  const text = `unresolved-${name.replaceAll(/[^a-zA-Z0-9]+/g, '-').slice(0, markNameMax)}`
  const last = member.slice(member.lastIndexOf('.') + 1).toLowerCase()
  if (last === 'rolearn' || last === 'role_arn')
    return `arn:aws:iam::${place.accountId}:role/${text}`
  if (last === 'functionarn' || last === 'function_arn') return lambdaFunction.arn(text, place)
  if (last === 'targetarn' || last === 'target_arn') return regional('sns', '')(text, place)
  if (last === 'destinationarn' || last === 'destination_arn') {
    return regional('iot', 'ruledestination/vpc/')(text, place)
  }
  return last === 'eventsourcearn' || last === 'event_source_arn'
    ? regional('kinesis', 'stream/')(text, place)
    : text
}
