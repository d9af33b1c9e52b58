import { useEffect, useState } from 'preact/hooks'
import { ApiError } from '../../api/engine.ts'
import type { TriedRule } from '../../api/evaluate.ts'
import type { LiveMessage, LiveMessages } from '../../api/live-messages.ts'
import { clockTime, grouped } from '../../parts/figures.ts'
import { textOf } from '../../parts/status.tsx'
import { visibleText } from '../../parts/visible-text.ts'
import { compareRules } from './compare-rules.ts'
import type { Comparison } from './compare-rules.ts'

/** How many of the live messages would go another way after saving. */
export function WhatWouldChange({
  before,
  after,
  live,
  onOpen,
}: {
  before: TriedRule
  after: TriedRule
  live: LiveMessages
  onOpen: (message: LiveMessage) => void
}) {
  // Those that have come until now: figures that grow while they are read help nobody.
  const [{ messages, sinceMs, leftOut, error }] = useState(live)
  const [comparison, setComparison] = useState<Comparison>()
  const [problem, setProblem] = useState<unknown>()
  useEffect(() => {
    const ending = new AbortController()
    compareRules({ before, after }, messages, ending.signal, setComparison).catch(
      (thrown: unknown) => {
        if (!ending.signal.aborted) setProblem(thrown)
      },
    )
    return () => ending.abort()
  }, [JSON.stringify([before, after])])

  const since = clockTime(sinceMs).slice(0, 5)
  if (error instanceof ApiError && error.code === 'AccessDeniedException') {
    return <p>What would change for live messages cannot be told: {textOf(error)}</p>
  }
  if (problem !== undefined) {
    return <p>Live messages could not be compared: {textOf(problem)}</p>
  }
  if (messages.length === 0) {
    return (
      <p>
        No message {leftOut > 0 ? 'with a payload that may be shown ' : ''}has come since {since},
        when this page was opened, so nothing can be compared.
      </p>
    )
  }
  const { compared = 0, unknown = 0, examples = [] } = comparison ?? {}
  if (compared < messages.length) {
    return (
      <p>
        {grouped(compared)} of {grouped(messages.length)} live messages are compared ...
      </p>
    )
  }
  return (
    <div class="what-would-change">
      <p>
        {sentenceOf(comparison, messages.length, since)}
        {unknown > 0 &&
          ` ${grouped(unknown)} cannot be told, because a function would have to be called.`}
        {leftOut > 0 && ` ${grouped(leftOut)} more came that are not compared.`}
      </p>
      {examples.length > 0 && (
        <details class="live-messages">
          <summary>
            {examples.length === 1 ? 'The message' : `${examples.length} of them`}, to open
          </summary>
          <ol>
            {examples.map(({ message, change }) => (
              <li key={message.messageId}>
                <button type="button" onClick={() => onOpen(message)}>
                  <time>{clockTime(message.at)}</time>
                  <span class="topic">{visibleText(message.topic)}</span>
                  <span class="unit">{change}</span>
                </button>
              </li>
            ))}
          </ol>
        </details>
      )}
    </div>
  )
}

function sentenceOf(comparison: Comparison | undefined, count: number, since: string): string {
  const { counts } = comparison ?? {}
  const parts = [
    [counts?.['matches now'] ?? 0, 'would match that do not now'],
    [counts?.['no longer matches'] ?? 0, 'would no longer match'],
    [counts?.['another output'] ?? 0, 'would give another output'],
  ] as const
  const told = parts.filter(([number]) => number > 0)
  const of = count === 1 ? 'the one message' : `the last ${grouped(count)} messages`
  if (told.length === 0) return `Of ${of} seen since ${since}, none would change.`
  return `Of ${of} seen since ${since}, ${told
    .map(([number, words]) => `${grouped(number)} ${words}`)
    .join(', ')}.`
}
