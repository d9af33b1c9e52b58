/**
 * Waits for work no longer than its answer is wanted. The work itself may go on, for others or for
 * nobody; how it ends then does not matter.
 *
 * @returns what the work gives; rejects as the work does, or with an AbortError
 */
export function unlessAborted<Answer>(work: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const abort = () =>
      reject(Object.assign(new Error('The call was given up'), { name: 'AbortError' }))
    const stopListening = () => signal.removeEventListener('abort', abort)
    // Listened to in any case: a rejection that nobody hears ends the process.
    void work.then(resolve, reject).finally(stopListening)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
