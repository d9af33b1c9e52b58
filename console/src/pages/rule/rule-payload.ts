import { call } from '../../api/engine.ts'

/** TopicRulePayload of AWS IoT, as far as this page looks into it. */
export interface RulePayload {
  readonly sql: string
  readonly description?: string
  readonly actions: readonly unknown[]
  readonly errorAction?: unknown
  readonly ruleDisabled?: boolean
  readonly awsIotSqlVersion?: string
}

interface StoredRule extends RulePayload {
  readonly ruleName: string
  readonly createdAt: number
}

/** The path of a rule in the API; with no name, of none that there can be. */
export const rulePath = (name: string): string => `/rules/${encodeURIComponent(name)}`

/** The text of a stored rule. */
export async function readRule(name: string, signal: AbortSignal): Promise<RulePayload> {
  const { rule } = await call<{ readonly rule: StoredRule }>({ path: rulePath(name), signal })
  const { ruleName: _name, createdAt: _createdAt, ...payload } = rule
  return payload
}

export const sampleName = 'hot_devices'

/** What a new rule starts with. */
export const sample: RulePayload = {
  sql: "SELECT temp, topic(2) AS device\nFROM 'dt/+/telemetry'\nWHERE temp > 50",
  awsIotSqlVersion: '2016-03-23',
  actions: [
    {
      kinesis: {
        streamName: 'hot-devices',
        partitionKey: '${topic(2)}',
        roleArn: 'arn:aws:iam::000000000000:role/iot-to-kinesis',
      },
    },
  ],
  ruleDisabled: false,
}
