import { ServerError, awsErrorOf, createSignedHttp, jsonOf } from '../call/signed-http.ts'
import type { HttpAnswer } from '../call/signed-http.ts'
import { createSend, eachAlone } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** The name of Amazon OpenSearch Service in signatures. */
const signingName = 'es'

/**
 * Puts documents into one index of a domain, one by one. A document is stored when the domain says
 * what became of it: the page of a proxy is no acknowledgment.
 */
export function createOpenSearchSend(options: SenderOptions) {
  const http = createSignedHttp(options, signingName)
  return createSend('OpenSearch', http.client, options, (requests, signal) =>
    eachAlone('OpenSearch', requests, async ({ parameters }) => {
      const { endpoint, path, body } = parameters as unknown as StoredDocument
      const server = new URL(options.endpoint ?? endpoint)
      const headers = { 'content-type': 'application/json' }
      const call = { method: 'PUT', server, path, headers, body: Buffer.from(body) } as const
      const answer = await http.send(call, signal)
      const { result } = jsonOf(answer) ?? {}
      const isStored = typeof result === 'string' && resultsOfStored.has(result)
      if (answer.status < 300 && isStored) return
      throw errorOf(answer)
    }),
  )
}

interface StoredDocument {
  readonly endpoint: string
  /** `/<index>/<type>/<id>`, each percent-encoded. */
  readonly path: string
  readonly body: string
}

/** OpenSearch documentation, "Index document": `result`. */
const resultsOfStored: ReadonlySet<string> = new Set(['created', 'updated', 'noop'])

/** Characters of an answer that the message shows, when it is not an error of OpenSearch. */
const shownCharactersMax = 200

/** An error of OpenSearch has a type and a reason; that of AWS in front of it a message. */
function errorOf(answer: HttpAnswer): ServerError {
  const { error } = jsonOf(answer) ?? {}
  if (isErrorOfDomain(error)) {
    const cause = error.caused_by?.reason
    const reason = cause ? `${error.reason}: ${cause}` : error.reason
    return new ServerError(error.type, reason ?? error.type, answer)
  }
  const text = typeof error === 'string' ? error : answer.text.slice(0, shownCharactersMax)
  return awsErrorOf(answer) ?? new ServerError(`Http${answer.status}`, text, answer)
}

interface ErrorOfDomain {
  readonly type: string
  readonly reason?: string | undefined
  readonly caused_by?: { readonly reason?: string | undefined } | undefined
}

function isErrorOfDomain(error: unknown): error is ErrorOfDomain {
  return (
    typeof error === 'object' && error !== null && 'type' in error && typeof error.type === 'string'
  )
}
