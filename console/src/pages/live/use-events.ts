import { useEffect, useRef, useState } from 'preact/hooks'
import { readEvents } from '../../api/events.ts'
import type { EngineEvent, EventFilter } from '../../api/events.ts'
import { nothingSeen, withEvents } from './seen.ts'

/** Rows change at most so often, so that they can be read. */
const drawEveryMs = 500
const retryMs = 2_000
/** A tab that nobody sees draws once a minute at most: what waits longer is only counted. */
const pendingMax = 5_000

/**
 * Follows the messages of the engine, and goes on after it has started again.
 *
 * @param filter of the messages; another one begins anew
 */
export function useEvents(filter: EventFilter) {
  const [seen, setSeen] = useState(nothingSeen)
  const [error, setError] = useState<unknown>()
  const [isPaused, setPaused] = useState(false)
  const [showsPayloads, setShowsPayloads] = useState(true)
  const pending = useRef<EngineEvent[]>([])
  const key = JSON.stringify(filter)

  useEffect(() => setSeen(nothingSeen), [key])
  useEffect(() => {
    if (isPaused) return undefined
    const ending = new AbortController()
    let timer: number | undefined
    let unseen = 0
    const receive = (event: EngineEvent) => {
      if (pending.current.length < pendingMax) pending.current.push(event)
      else if (event.name === 'message') unseen += 1
    }
    const opened = () => setError(undefined)
    const read = async () => {
      try {
        const payloads = showsPayloads ? 'true' : undefined
        await readEvents({ ...filter, payloads }, ending.signal, receive, opened)
        if (ending.signal.aborted) return
      } catch (thrown) {
        if (ending.signal.aborted) return
        // The key may see messages, but perhaps not what is in them.
        if (showsPayloads && isDenied(thrown)) return setShowsPayloads(false)
        setError(thrown)
      }
      timer = window.setTimeout(() => void read(), retryMs)
    }
    void read()
    const drawing = window.setInterval(() => {
      const events = pending.current.splice(0)
      if (unseen > 0) events.push({ name: 'leftOut', data: { count: unseen } })
      unseen = 0
      if (events.length > 0) setSeen((before) => withEvents(before, events))
    }, drawEveryMs)
    return () => {
      ending.abort()
      clearTimeout(timer)
      clearInterval(drawing)
      pending.current = []
    }
  }, [key, isPaused, showsPayloads])
  return { seen, error, isPaused, setPaused, showsPayloads }
}

const isDenied = (thrown: unknown): boolean =>
  (thrown as { readonly code?: string }).code === 'AccessDeniedException'
