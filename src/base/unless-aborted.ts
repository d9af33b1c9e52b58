/**
 * Waits for work until `signal` aborts. The work itself may continue; its result is ignored then.
 *
 * @returns the result of the work; rejects as the work does, or with an AbortError
 */
export function unlessAborted<Answer>(work: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const abort = () =>
      reject(Object.assign(new Error('The call was given up'), { name: 'AbortError' }))
    const stopListening = () => signal.removeEventListener('abort', abort)
    // Handlers are attached in any case, because an unhandled rejection ends the process.
    void work.then(resolve, reject).finally(stopListening)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
