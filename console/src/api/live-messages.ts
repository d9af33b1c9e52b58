import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError, asksForKey } from './engine.ts'
import { readEvents } from './events.ts'
import type { MessageEvent } from './events.ts'

/** A message that came while the page was open, with its payload. */
export type LiveMessage = MessageEvent &
  (
    | { readonly payload: string; readonly payloadBase64?: undefined }
    | { readonly payload?: undefined; readonly payloadBase64: string }
  )

export interface LiveMessages {
  /** The newest last. */
  readonly messages: readonly LiveMessage[]
  /** When the first of them could have come, in epoch milliseconds. */
  readonly sinceMs: number
  /** Messages that came without their payload, or were not shown. */
  readonly leftOut: number
  /** Why none come: the key may not read payloads, or the engine does not answer. */
  readonly error: unknown
}

const messagesMax = 1_000
const bytesMax = 8_388_608
const drawEveryMs = 500
const retryMs = 2_000
const restMs = 500

/**
 * Collects the messages of topic filters while it is used: at most 1,000 and 8 MiB, the newest.
 *
 * @param filters of MQTT; each of them is a stream of events
 */
export function useLiveMessages(filters: readonly string[]): LiveMessages {
  const [state, setState] = useState<LiveMessages>(() => ({
    messages: [],
    sinceMs: Date.now(),
    leftOut: 0,
    error: undefined,
  }))
  const kept = useRef(createKeptMessages())
  const key = JSON.stringify(filters)
  useEffect(() => {
    const ending = new AbortController()
    const read = async (topic: string): Promise<void> => {
      try {
        await readEvents(
          { topic, payloads: 'true' },
          ending.signal,
          ({ name, data }) => {
            if (name === 'message') kept.current.add(data)
            else if (name === 'leftOut') kept.current.leaveOut(data.count)
          },
          () => setState((before) => ({ ...before, error: undefined })),
        )
      } catch (error) {
        if (ending.signal.aborted) return
        setState((before) => ({ ...before, error }))
        // With another key it goes on.
        if (!asksForKey(error) && error instanceof ApiError && error.status < 500) return
      }
      setTimeout(() => {
        if (!ending.signal.aborted) void read(topic)
      }, retryMs)
    }
    // Not for each letter of a filter that is being typed.
    const opening = setTimeout(() => {
      for (const filter of JSON.parse(key) as string[]) void read(filter)
    }, restMs)
    const drawing = setInterval(() => {
      const changed = kept.current.take()
      if (changed) setState((before) => ({ ...before, ...changed }))
    }, drawEveryMs)
    return () => {
      ending.abort()
      clearTimeout(opening)
      clearInterval(drawing)
    }
  }, [key])
  return state
}

function createKeptMessages() {
  const messages = new Map<string, LiveMessage>()
  let bytes = 0
  let leftOut = 0
  let hasChanged = false
  return {
    add(message: MessageEvent): void {
      const isSeen = messages.has(message.messageId)
      if (isSeen) return
      hasChanged = true
      if (message.payload === undefined && message.payloadBase64 === undefined) {
        leftOut++
        return
      }
      messages.set(message.messageId, message as LiveMessage)
      bytes += message.bytes
      for (const [id, oldest] of messages) {
        if (messages.size <= messagesMax && bytes <= bytesMax) break
        messages.delete(id)
        bytes -= oldest.bytes
      }
    },
    leaveOut(count: number): void {
      hasChanged = true
      leftOut += count
    },
    /** What is kept now, if it is not the same as at the last call. */
    take(): Pick<LiveMessages, 'messages' | 'leftOut'> | undefined {
      if (!hasChanged) return undefined
      hasChanged = false
      return { messages: [...messages.values()], leftOut }
    },
  }
}

/** The topic filters of statements, as far as they can be told without a parser. */
export function filtersOf(statements: readonly (string | undefined)[]): readonly string[] {
  const found = statements.flatMap(
    (sql = '') => /\bFROM\s+'(?<filter>[^']+)'/i.exec(sql)?.groups?.['filter'] ?? [],
  )
  return [...new Set(found)]
}
