import type { FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { HttpApp } from '../server/http-app.ts'
import type { Operation } from '../server/operation.ts'
import { readConsoleFiles } from './console-files.ts'
import type { ConsoleFile, ConsoleFiles } from './console-files.ts'

/**
 * The console at `/console/`. Its files are open to anyone and hold no data: the page asks the HTTP
 * API for that, as any other client, with signed requests where they must be signed.
 */
const operation: Operation = {
  id: 'GetConsole',
  summary: 'A file of the console.',
  answer: { description: 'The file.', schema: Type.String(), type: 'text/html' },
  errors: ['ResourceNotFoundException', 'InternalException'],
  access: 'anyone',
}
const schema = { hide: true, operation } satisfies FastifySchema

/** The page loads what this server has and nothing else, and no other page may frame it. */
const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // The editor and the charts set the sizes of their elements.
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const headers = {
  'content-security-policy': contentPolicy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
}

/** Adds `/console/` and the way to it from `/`. */
export function addConsoleRoutes(app: HttpApp, read = readConsoleFiles): void {
  let reading: Promise<ConsoleFiles> | undefined
  const files = () => (reading ??= read())

  app.get('/', { schema }, toConsole)
  app.get('/console', { schema }, toConsole)
  app.get<{ Params: { '*': string } }>('/console/*', { schema }, async (request, reply) => {
    const found = fileAt(await files(), request.params['*'])
    reply.headers(headers).header('etag', found.etag)
    reply.header('cache-control', found.isImmutable ? 'max-age=31536000, immutable' : 'no-cache')
    reply.header('vary', 'accept-encoding')
    if (request.headers['if-none-match'] === found.etag) return reply.status(304).send()
    const takesGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
    if (takesGzip) reply.header('content-encoding', 'gzip')
    return reply.type(found.type).send(takesGzip ? found.gzipped : found.bytes)
  })
}

const toConsole = async (_request: FastifyRequest, reply: FastifyReply) =>
  reply.redirect('/console/', 302)

/**
 * Every path of a page is answered with the same document, which looks at the path itself.
 *
 * @throws SluiceError ResourceNotFoundException
 */
function fileAt(files: ConsoleFiles, given: string): ConsoleFile {
  const isFile = given.startsWith('assets/') || /^[\w-]+\.\w+$/.test(given)
  const found = files.get(isFile ? given : 'index.html')
  if (found) return found
  throw new SluiceError(
    'ResourceNotFoundException',
    files.size === 0
      ? 'the console was not built: `npm run build` builds it'
      : `there is nothing at /console/${given}`,
  )
}
