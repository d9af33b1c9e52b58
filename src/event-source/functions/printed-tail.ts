/** The end of what a function prints during an invocation. */
interface PrintedTail {
  begin(): void
  /** @returns undefined when nothing was begun */
  end(): string | undefined
}

/** The last 4 KB of a log are part of an answer (Lambda API Reference, Invoke, LogResult). */
const tailCharactersMax = 4_096

type Write = (chunk: unknown, ...rest: unknown[]) => boolean

/**
 * Notes what is written to streams. It is noted where it is written, because the streams of a
 * thread reach its parent later than the answer does.
 */
export function createPrintedTail(streams: readonly NodeJS.WritableStream[]): PrintedTail {
  let tail: string | undefined
  for (const stream of streams) {
    const write = stream.write.bind(stream) as Write
    const noted: Write = (chunk, ...rest) => {
      if (tail !== undefined) {
        const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk as Uint8Array).toString()
        tail = (tail + text).slice(-tailCharactersMax)
      }
      return write(chunk, ...rest)
    }
    stream.write = noted
  }
  return {
    begin() {
      tail = ''
    },
    end() {
      const ended = tail
      tail = undefined
      return ended
    },
  }
}
