import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { ApiError, UnreachableError } from '../api/engine.ts'
import { visibleText } from './visible-text.ts'

/** What stands where there is nothing yet. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  )
}

export function Loading() {
  return (
    <p class="loading" role="status">
      Reading from the engine ...
    </p>
  )
}

/** Says what went wrong and what to do, in the words of the engine where it has some. */
export function Failure({ error }: { error: unknown }) {
  return (
    <div class="failure" role="alert">
      <p>{visibleText(textOf(error))}</p>
    </div>
  )
}

export function textOf(error: unknown): string {
  if (error instanceof UnreachableError) {
    return 'The engine does not answer. This page goes on when it is back.'
  }
  if (error instanceof ApiError) {
    if (error.code === 'AccessDeniedException') {
      return `This access key may not ${error.isRead ? 'see it' : 'do it'}: ${error.message}`
    }
    return error.message
  }
  return error instanceof Error ? error.message : String(error)
}

/** A line to copy into a shell. */
export function CopyLine({ text }: { text: string }) {
  const [said, setSaid] = useState('Copy')
  const line = useRef<HTMLElement>(null)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      setSaid('Copied')
    } catch {
      // Browsers have a clipboard for secure pages alone.
      if (line.current) getSelection()?.selectAllChildren(line.current)
      setSaid('Press Ctrl+C')
    }
    setTimeout(() => setSaid('Copy'), 2_000)
  }
  return (
    <span class="copy-line">
      <code ref={line}>{text}</code>
      <button type="button" class="quiet" onClick={() => void copy()}>
        {said}
      </button>
    </span>
  )
}
