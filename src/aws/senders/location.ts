import { BatchUpdateDevicePositionCommand, LocationClient } from '@aws-sdk/client-location'
import { clientOptionsOf, createSend, notTaken, sharedParameter, taken } from './sender.ts'
import type { SenderOptions } from './sender.ts'

interface StoredUpdate {
  readonly DeviceId: string
  /** RFC 3339. */
  readonly SampleTime: string
  readonly Position: [number, number]
}

/** Updates the positions of devices of one tracker. */
export function createLocationSend(options: SenderOptions) {
  const client = new LocationClient(clientOptionsOf(options))
  return createSend('Location', client, options, async (requests, abortSignal) => {
    // The action makes one update for each message.
    const stored = requests.flatMap(({ parameters }) =>
      (parameters as unknown as { readonly Updates: readonly StoredUpdate[] }).Updates.slice(0, 1),
    )
    const Updates = stored.map(({ DeviceId, SampleTime, Position }) => {
      return { DeviceId, SampleTime: new Date(SampleTime), Position }
    })
    const TrackerName = sharedParameter(requests, 'TrackerName')
    const command = new BatchUpdateDevicePositionCommand({ TrackerName, Updates })
    const { Errors: errors = [] } = await client.send(command, { abortSignal })
    return Updates.map((update) => {
      const failed = errors.find(
        ({ DeviceId, SampleTime }) =>
          DeviceId === update.DeviceId && SampleTime?.getTime() === update.SampleTime.getTime(),
      )
      return failed ? notTaken('Location', failed.Error?.Code, failed.Error?.Message) : taken
    })
  })
}
