import { Action$ as actionUnion } from '@aws-sdk/client-iot'
import { actionKinds } from '../src/actions/compile-actions.ts'
import { createActionRefusals } from '../src/app/rule-stage.ts'
import { endedKinds } from '../src/aws/service-senders.ts'
import { apis } from '../src/http/api-routes.ts'
import { iotControlPlane } from '../src/http/aws-iot/iot-control-plane.ts'
import { iotDataPlane } from '../src/http/aws-iot/iot-data-plane.ts'
import { lambdaApi } from '../src/http/lambda/lambda-api.ts'
import type { Api } from '../src/http/server/api.ts'
import { missingKinesisOperations } from '../src/lab/kinesis-operations/kinesis-operations.ts'
import { missingStsOperations } from '../src/lab/sts/sts-operations.ts'
import { listApiOperations } from './api-operations.ts'
import { accountFeatures, deviceFeatures, mqttFeatures, ruleFeatures } from './missing-features.ts'
import type { MissingFeature } from './missing-features.ts'

/** docs/NOT-SUPPORTED.md: what AWS IoT has and Sluice has not. */
export async function notSupportedDocument(): Promise<string> {
  const missing = await missingOperations()
  const sections = (features: readonly MissingFeature[]) =>
    features.map((feature) => sectionOf(feature, missing)).join('\n\n')
  // The sections take their operations out of the list, so what is left belongs to none.
  const [rules, mqtt, devices, account] = [
    sections(ruleFeatures),
    sections(mqttFeatures),
    sections(deviceFeatures),
    sections(accountFeatures),
  ]
  return `# Not supported

What AWS IoT Core has and Sluice does not have. Made by \`npm run docs\` from the code and from the service models in AWS's own clients, and held
by a test. What works is in [API.md](API.md), [SQL.md](SQL.md) and [ACTIONS.md](ACTIONS.md).

- A missing operation of AWS IoT, its data plane or Lambda is answered with status 400,
  \`InvalidRequestException: Sluice does not have ListThingTypes\`, in the form of its service.
- A rule that needs a missing action or function is refused when it is made: no rule is stored and then not carried out.
- An MQTT client that publishes to a topic that begins with \`$\` is disconnected, and a publish over HTTP is refused, except for Basic Ingest
  and for requests of devices to services: [DEVICES.md](DEVICES.md#reserved-topics). The profile \`open\` takes topics of clients' own, such
  as \`$x/y\`, over MQTT.

## Rules

### Actions

${actionsText(await createActionRefusals())}

${rules}

## MQTT

${mqtt}

## Devices

${devices}

## The account

${account}

${otherOperations(take(missing, ({ api }) => api !== lambdaApi))}## AWS Lambda

Event source mappings with their tags are served, for streams of Kinesis alone, and local functions can be listed, described and
invoked ([CONSUMERS.md](CONSUMERS.md)). Functions are files, so no operation makes or changes one. All other operations are missing.

${operationsText(take(missing, () => true))}

## The local Kinesis and STS

${wrap(`The lab lacks these operations. Missing operations of Kinesis: ${[...missingKinesisOperations.keys()].join(', ')}. Missing operations of STS: ${missingStsOperations.join(', ')}.`)}

All others are served: [KINESIS.md](KINESIS.md), [LAB.md](LAB.md).

## Other services

AWS IoT Core's relatives have no endpoint here: the jobs data plane, the credentials provider, secure tunneling, Greengrass, SiteWise,
Events, Analytics, and Device Advisor.
`
}

interface AwsOperation {
  readonly api: Api
  readonly id: string
}

async function missingOperations(): Promise<AwsOperation[]> {
  const served = await listApiOperations()
  return apis.all.flatMap((api) =>
    Object.keys(api.awsOperations ?? {})
      .filter((id) => !served.some((it) => it.api === api && it.operation.id === id))
      .map((id) => ({ api, id })),
  )
}

/** @throws Error: the feature, or a part of what its text says, is not missing any more */
function sectionOf(
  { title, text, operations, signs = [] }: MissingFeature,
  missing: AwsOperation[],
): string {
  for (const sign of signs) {
    if (!sign.holds())
      throw new Error(`correct "${title}" in missing-features.ts: not so: ${sign.text}`)
  }
  if (!operations) return `### ${title}\n\n${text}`
  const ofFeature = take(missing, ({ api, id }) => api !== lambdaApi && operations.test(id))
  if (ofFeature.length === 0) throw new Error(`remove "${title}" from missing-features.ts`)
  return `### ${title}\n\n${text}\n\n${operationsText(ofFeature)}`
}

/** Removes the operations that are wanted from the list, and returns them. */
function take(missing: AwsOperation[], isWanted: (operation: AwsOperation) => boolean) {
  const taken = missing.filter(isWanted)
  missing.splice(0, missing.length, ...missing.filter((it) => !taken.includes(it)))
  return taken
}

function operationsText(operations: readonly AwsOperation[]): string {
  const texts = [iotControlPlane, iotDataPlane, lambdaApi].flatMap((api) => {
    const ids = operations.filter((it) => it.api === api).map(({ id }) => id)
    if (ids.length === 0) return []
    const heading =
      api === iotDataPlane ? 'Missing operations of the data plane' : 'Missing operations'
    return [wrap(`${heading}: ${ids.join(', ')}.`)]
  })
  return texts.join('\n\n')
}

/** Operations of AWS IoT that belong to none of the features. */
function otherOperations(operations: readonly AwsOperation[]): string {
  if (operations.length === 0) return ''
  return `### Other operations of AWS IoT\n\n${operationsText(operations)}\n\n`
}

type ActionRefusals = Awaited<ReturnType<typeof createActionRefusals>>

function actionsText({ refusalOf }: ActionRefusals): string {
  const [, , , , names] = actionUnion as unknown as [number, string, string, number, string[]]
  const executed: readonly string[] = actionKinds.filter((kind) => !refusalOf(kind, {}))
  const missing = names.filter((name) => !executed.includes(name)).toSorted()
  const kinds = `Sluice executes ${executed.map((kind) => `\`${kind}\``).join(', ')}.`
  const all = wrap(
    `${kinds} Missing in \`sluice start\`, and recorded in the lab: ${missing.join(', ')}.`,
  )
  const reasons = endedKinds
    .map((kind) => wrap(`- \`${kind}\`: ${refusalOf(kind, {})}.`))
    .map((text) => text.replaceAll('\n', '\n  '))
  const kafka = wrap(
    'The `kafka` action takes neither Kerberos (`GSSAPI`) nor stores in the format JKS, and does not use its destination: ' +
      'the brokers are reached from where Sluice runs. MSK with IAM is not supported by AWS IoT either.',
  )
  return [all, reasons.join('\n'), kafka].join('\n\n')
}

const lineMax = 140

function wrap(text: string): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length + 1 > lineMax) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.join('\n')
}
