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
    const failures = new Map<Update, (typeof errors)[number]>()
    for (const error of errors) {
      for (const update of updatesOf(error, Updates)) failures.set(update, error)
    }
    return Updates.map((update) => {
      const failed = failures.get(update)
      return failed ? notTaken('Location', failed.Error?.Code, failed.Error?.Message) : taken
    })
  })
}

interface Update {
  readonly DeviceId: string
  readonly SampleTime: Date
}

/**
 * The updates that an error is about: those of its device and time. Where there is none, all of the
 * device, or all of the call, because an update that is not named counts as taken.
 */
function updatesOf<Of extends Update>(
  error: { readonly DeviceId?: string | undefined; readonly SampleTime?: Date | undefined },
  updates: readonly Of[],
): readonly Of[] {
  const ofDevice = updates.filter(({ DeviceId }) => DeviceId === error.DeviceId)
  const timeMs = error.SampleTime?.getTime()
  const named = ofDevice.filter(({ SampleTime }) => SampleTime.getTime() === timeMs)
  if (named.length > 0) return named
  return ofDevice.length > 0 ? ofDevice : updates
}
