import { ServerError, createSignedHttp } from '../call/signed-http.ts'
import { createSend, eachAlone } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/**
 * Posts records to the server that stands in for Salesforce, at the path of the input stream. The
 * token of the rule is not sent: it is a secret, and no record holds it.
 */
export function createSalesforceSend(options: SenderOptions) {
  const http = createSignedHttp(options, undefined)
  return createSend('Salesforce', http.client, options, (requests, signal) =>
    eachAlone('Salesforce', requests, async ({ parameters }) => {
      const { url, body } = parameters as unknown as { readonly url: string; readonly body: string }
      const answer = await http.send(
        {
          method: 'POST',
          server: new URL(options.endpoint ?? ''),
          path: new URL(url).pathname,
          headers: { 'content-type': 'application/json' },
          body: Buffer.from(body),
        },
        signal,
      )
      if (answer.status >= 200 && answer.status < 300) return
      throw new ServerError(`Http${answer.status}`, 'the server did not take the event', answer)
    }),
  )
}
