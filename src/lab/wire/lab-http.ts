import type { IncomingHttpHeaders } from 'node:http'
import type { Writable } from 'node:stream'

/** A request to the lab without its body, over either version of HTTP. */
export interface LabRequestHead {
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
}

export interface LabRequest extends LabRequestHead {
  /** The whole body. */
  readonly body: Buffer
}

export type LabAnswer =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string | Buffer
    }
  /** A streamed response: `open` writes the body and ends it later. */
  | {
      readonly kind: 'stream'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      open(body: Writable): void
    }
  /** No response: the connection is closed. */
  | { readonly kind: 'cut' }

/** Never rejects: every failure becomes a response. */
export type LabHandler = (request: LabRequest) => Promise<LabAnswer>

export function answer(
  status: number,
  contentType: string,
  body: string | Buffer,
  requestId: string,
): Extract<LabAnswer, { kind: 'answer' }> {
  return {
    kind: 'answer',
    status,
    headers: { 'content-type': contentType, 'x-amzn-requestid': requestId },
    body,
  }
}

/** An error page like that of a load balancer, which does not have the API's format. */
export function htmlAnswer(status: number, requestId: string): LabAnswer {
  const body = `<html><head><title>${status}</title></head><body><h1>${status}</h1></body></html>\n`
  return answer(status, 'text/html', body, requestId)
}

/** The access key id of a signed request; undefined for an unsigned one. */
export function accessKeyIdOf(headers: IncomingHttpHeaders): string | undefined {
  return /Credential=([^/,\s]+)\//.exec(headers.authorization ?? '')?.[1]
}

/** The region that a signed request is for; undefined for an unsigned one. */
export function regionOf(headers: IncomingHttpHeaders): string | undefined {
  return /Credential=[^/,\s]+\/\d*\/([^/,\s]+)\//.exec(headers.authorization ?? '')?.[1]
}

/** The host of the request, which HTTP/2 sends in `:authority`. */
export function hostOf({ headers }: LabRequestHead): string | undefined {
  const authority = headers[':authority']
  return typeof authority === 'string' ? authority : headers.host
}
