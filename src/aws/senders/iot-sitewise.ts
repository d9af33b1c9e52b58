import { BatchPutAssetPropertyValueCommand, IoTSiteWiseClient } from '@aws-sdk/client-iotsitewise'
import type { PutAssetPropertyValueEntry } from '@aws-sdk/client-iotsitewise'
import { chunksOf } from './chunks.ts'
import { clientOptionsOf, createSend, notTaken, taken, worstOf } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** AWS IoT SiteWise API Reference, BatchPutAssetPropertyValue. */
const limits = { countMax: 10 }

/**
 * Puts values of asset properties, ten entries in a call. The ids of the entries must differ within
 * a call, and a rule may give all of them the same: the number of each entry stands in its place.
 */
export function createIotSitewiseSend(options: SenderOptions) {
  const client = new IoTSiteWiseClient(clientOptionsOf(options))
  return createSend('IoT SiteWise', client, options, async (requests, abortSignal) => {
    const outcomes = requests.map(() => taken)
    const stored = requests.flatMap(({ parameters }, record) => {
      const { entries } = parameters as unknown as {
        readonly entries: readonly PutAssetPropertyValueEntry[]
      }
      return entries.map((entry) => ({ entry, record }))
    })
    for (const chunk of chunksOf(stored, limits)) {
      const entries = chunk.map(({ entry }, index) => ({ ...entry, entryId: String(index) }))
      const command = new BatchPutAssetPropertyValueCommand({ entries })
      const { errorEntries = [] } = await client.send(command, { abortSignal })
      for (const { entryId, errors = [] } of errorEntries) {
        const [{ errorCode, errorMessage } = {}] = errors
        const outcome = notTaken('IoT SiteWise', errorCode, errorMessage)
        const failed = chunk[Number(entryId)]
        // An error that names no entry of the call may be about any of them.
        for (const { record } of failed ? [failed] : chunk) {
          outcomes[record] = worstOf(outcomes[record], outcome)
        }
      }
    }
    return outcomes
  })
}
