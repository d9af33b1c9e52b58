import { SluiceError } from '../base/errors.ts'
import type { Message, MessageSender } from '../message.ts'

/**
 * Work in the order of each client's messages. Nearly all work is done at once; what has to wait
 * delays the later work of its client, and nobody else's.
 */
interface ClientOrder {
  /**
   * Does the work on a message at once where nothing of its client waits, else after it. Who has no
   * client waits for nobody. The queue is as long as the messages of a client that nobody has
   * answered yet: whoever hands them in bounds it.
   *
   * @param sender work that had to wait is not begun if its sender has gone meanwhile: clients come
   *   again and send again, and the new messages would wait for all the old ones
   * @throws SluiceError SenderGone, as a rejection
   */
  inTurn<Result>(
    message: Message,
    work: Work<Result>,
    sender?: MessageSender,
  ): Result | Promise<Result>
}

type Work<Result> = (message: Message) => Result | Promise<Result>

export function createClientOrder(): ClientOrder {
  /** Of the clients that have work waiting: when the last of it has ended, one way or the other. */
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
      if (clientId === undefined) return work(message)
      const ahead = lastTurns.get(clientId)
      const later = () => {
        if (sender?.closed === true) throw new SluiceError('SenderGone', 'Its connection has gone.')
        return work(message)
      }
      const turn = ahead === undefined ? work(message) : ahead.then(later)
      if (turn instanceof Promise) remember(clientId, turn)
      return turn
    },
  }
}
