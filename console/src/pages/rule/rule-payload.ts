/** TopicRulePayload of AWS IoT, as far as this page looks into it. */
export interface RulePayload {
  readonly sql: string
  readonly description?: string
  readonly actions: readonly unknown[]
  readonly errorAction?: unknown
  readonly ruleDisabled?: boolean
  readonly awsIotSqlVersion?: string
}

export interface StoredRule extends RulePayload {
  readonly ruleName: string
  readonly createdAt: number
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
