import {
  CloudWatchClient,
  PutMetricDataCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch'
import type { SetAlarmStateCommandInput } from '@aws-sdk/client-cloudwatch'
import { clientOptionsOf, createSend, eachAlone, taken } from './sender.ts'
import type { SenderOptions } from './sender.ts'

interface StoredMetrics {
  readonly Namespace: string
  readonly MetricData: readonly {
    readonly MetricName: string
    readonly Value: number
    readonly Unit: string
    /** Epoch seconds. */
    readonly Timestamp: number
  }[]
}

/**
 * Puts metrics of one namespace. CloudWatch takes all metrics of a call or none: when it refuses
 * one, delivery sends them one by one.
 */
export function createMetricSend(options: SenderOptions) {
  const client = new CloudWatchClient(clientOptionsOf(options))
  return createSend('CloudWatch', client, options, async (requests, abortSignal) => {
    const stored = requests.map(({ parameters }) => parameters as unknown as StoredMetrics)
    const MetricData = stored
      .flatMap((request) => request.MetricData)
      .map(({ MetricName, Value, Unit, Timestamp }) => ({
        MetricName,
        Value,
        // The action has checked that it is one of CloudWatch's units.
        Unit: Unit as 'None',
        Timestamp: new Date(Timestamp * 1_000),
      }))
    const Namespace = stored[0]?.Namespace
    await client.send(new PutMetricDataCommand({ Namespace, MetricData }), { abortSignal })
    return requests.map(() => taken)
  })
}

/** Sets the state of one alarm. */
export function createAlarmSend(options: SenderOptions) {
  const client = new CloudWatchClient(clientOptionsOf(options))
  return createSend('CloudWatch', client, options, (requests, abortSignal) =>
    eachAlone('CloudWatch', requests, ({ parameters }) => {
      const command = new SetAlarmStateCommand(parameters as unknown as SetAlarmStateCommandInput)
      return client.send(command, { abortSignal })
    }),
  )
}
