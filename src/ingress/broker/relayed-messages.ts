import type { RelayedMessage } from '../relay/relay.ts'
import type { Publishing } from './publishing.ts'

/**
 * Hands messages of other nodes to the subscribers here, in the order in which they came.
 *
 * @returns what takes a message, and resolves when it is handed on, or cannot be kept on disk for a
 *   session: then nobody gets it, and its publisher, at another node, waits for no answer
 */
export function createRelayedMessages(
  publishing: Pick<Publishing, 'distributeRelayed'>,
): (message: RelayedMessage) => Promise<void> {
  let last = Promise.resolve()
  return (message) => {
    const { isKept, distribute } = publishing.distributeRelayed(message)
    const before = last
    const handOn = async () => {
      const hasFailed = await isKept.then(
        () => false,
        () => true,
      )
      await before
      if (!hasFailed) await distribute().catch(() => undefined)
    }
    last = handOn()
    return last
  }
}
