import type { ReceivedMessage } from './mqtt-connection.ts'

export interface KeptMessage extends ReceivedMessage {
  readonly number: number
  readonly atMs: number
}

const keptMax = 1_000
const keptBytesMax = 8 * 1_024 * 1_024

/** The newest messages, within bounds of number and bytes. */
export interface History {
  add(message: ReceivedMessage): void
  clear(): void
  /** The newest first. */
  readonly list: () => readonly KeptMessage[]
  /** All that have come since the page was opened or cleared. */
  readonly count: () => number
}

const sizeOf = ({ payload, topic }: ReceivedMessage) => payload.length + topic.length

export function createHistory(): History {
  let kept: KeptMessage[] = []
  let bytes = 0
  let count = 0
  return {
    add(message) {
      count++
      kept.push({ ...message, number: count, atMs: Date.now() })
      bytes += sizeOf(message)
      while (kept.length > keptMax || (bytes > keptBytesMax && kept.length > 1)) {
        const oldest = kept.shift()
        bytes -= oldest ? sizeOf(oldest) : 0
      }
    },
    clear() {
      kept = []
      bytes = 0
      count = 0
    },
    list: () => kept.toReversed(),
    count: () => count,
  }
}

/** Whether a topic filter gets messages of a topic, MQTT 5 section 4.7; `$share/g/` is left out. */
export function filterMatches(filter: string, topic: string): boolean {
  const plain = filter.replace(/^\$share\/[^/]*\//, '').split('/')
  const levels = topic.split('/')
  if (topic.startsWith('$') && /^[+#]/.test(plain[0] ?? '')) return false
  for (const [index, level] of plain.entries()) {
    if (level === '#') return true
    if (index >= levels.length || (level !== '+' && level !== levels[index])) return false
  }
  return plain.length === levels.length
}
