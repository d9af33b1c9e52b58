import { SluiceError } from '../base/errors.ts'
import type { Message, MessageSender } from '../message.ts'

/**
 * Keeps work in the order of each client's messages. Nearly all work is done at once. Work that has
 * to wait delays the later work of its client, and of no other.
 */
interface ClientOrder {
  /**
   * Does the work on a message at once when no work of its client waits, otherwise after that work.
   * A message without a client never waits. The queue of a client is as long as its unanswered
   * messages, which the ingress bounds.
   *
   * @param sender work that had to wait is not begun if its sender has disconnected meanwhile:
   *   clients reconnect and send again, and the new messages would wait for all the old ones
   * @throws SluiceError SenderGone, as a rejection
   */
  inTurn<Result>(
    message: Message,
    work: Work<Result>,
    sender?: MessageSender,
  ): Result | Promise<Result>
}

type Work<Result> = (message: Message, sender?: MessageSender) => Result | Promise<Result>

/** @throws SluiceError SenderGone */
function workFor<Result>(
  message: Message,
  work: Work<Result>,
  sender: MessageSender | undefined,
): Result | Promise<Result> {
  if (sender?.closed === true) throw new SluiceError('SenderGone', 'Its connection has gone.')
  return work(message, sender)
}

export function createClientOrder(): ClientOrder {
  /** For each client with waiting work: a promise that resolves when the last of it has ended. */
  const lastTurns = new Map<string, Promise<void>>()

  function remember(clientId: string, turn: Promise<unknown>): void {
    const ended = async () => {
      await Promise.allSettled([turn])
      if (lastTurns.get(clientId) === end) lastTurns.delete(clientId)
    }
    const end = ended()
    lastTurns.set(clientId, end)
  }

  return {
    inTurn(message, work, sender) {
      const { clientId } = message
      if (clientId === undefined) return work(message, sender)
      const ahead = lastTurns.get(clientId)
      const turn =
        ahead === undefined
          ? work(message, sender)
          : ahead.then(() => workFor(message, work, sender))
      if (turn instanceof Promise) remember(clientId, turn)
      return turn
    },
  }
}
