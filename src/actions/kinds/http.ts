import { Type } from 'typebox'
import { invalidField } from '../../base/errors.ts'
import type { SluiceError } from '../../base/errors.ts'
import { createHttpHosts } from '../../aws/http/http-hosts.ts'
import { optionalTemplate, template } from '../action/action-template.ts'
import { errorActionIndex } from '../../outbox/outbox.ts'
import { closed, optionalFlagType, roleArnType, textType } from '../action/field-types.ts'
import type { DefinitionContext } from '../action/action.ts'
import { readOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { lengthBetween, shown } from '../action/text-checks.ts'

const urlText = Type.String({ maxLength: 2_000 })

const batchConfigType = Type.Object(
  {
    maxBatchOpenMs: Type.Optional(Type.Integer({ minimum: 5, maximum: 200 })),
    maxBatchSize: Type.Optional(Type.Integer({ minimum: 2, maximum: 10 })),
    maxBatchSizeBytes: Type.Optional(Type.Integer({ minimum: 100, maximum: 131_072 })),
    batchAcrossTopics: optionalFlagType,
  },
  closed,
)

/** Posts the output of the rule to an HTTPS endpoint. */
export const httpAction = serviceAction({
  kind: 'http',
  schema: Type.Object(
    {
      url: urlText,
      confirmationUrl: Type.Optional(urlText),
      headers: Type.Optional(
        Type.Array(
          Type.Object(
            {
              key: Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$" }),
              value: textType,
            },
            closed,
          ),
          { maxItems: 100 },
        ),
      ),
      auth: Type.Optional(
        Type.Object(
          {
            sigv4: Type.Optional(
              Type.Object(
                { signingRegion: textType, serviceName: textType, roleArn: roleArnType },
                closed,
              ),
            ),
          },
          closed,
        ),
      ),
      enableBatching: optionalFlagType,
      batchConfig: Type.Optional(batchConfigType),
    },
    closed,
  ),
  faultsOf: (definition, context) => faultsOfDefinition(definition, context),
  plan(
    { headers = [], auth, ...definition },
    { index, ruleName, httpUrlProblem = defaultUrlProblem },
  ) {
    const { url: urlTemplate, enableBatching = false, batchConfig = {} } = definition
    const confirmationUrl = definition.confirmationUrl || undefined
    const { batchAcrossTopics = false, ...limits } = batchConfig
    return actionPlan({
      roleArn: auth?.sigv4?.roleArn,
      batching: enableBatching
        ? {
            count: limits.maxBatchSize ?? batchDefaults.count,
            periodMs: limits.maxBatchOpenMs ?? batchDefaults.periodMs,
          }
        : { count: 1, periodMs: 0 },
      templates: {
        url: template(urlTemplate, httpUrlProblem),
        confirmationUrl: optionalTemplate(confirmationUrl, httpUrlProblem),
        headers: headers.map(({ value }) => ({ value: template(value, headerValue) })),
      },
      // The topic rule destination that has to be enabled: it is found by its confirmation URL.
      target: ({ url, confirmationUrl: confirmed }) => confirmed ?? url,
      call(texts, { output, source }) {
        const { url, confirmationUrl: confirmed = url } = texts
        const problem = prefixProblem(url, confirmed)
        if (problem !== undefined) return { problem, member: 'url' }
        const isJson = readOutput(output) !== undefined
        if (enableBatching && !isJson) {
          return { problem: 'the output is no JSON, and a batch is a JSON array' }
        }
        const given = headers.map(({ key }, at) => [key, texts.headers[at]?.value ?? ''] as const)
        const hasType = given.some(([key]) => key.toLowerCase() === 'content-type')
        const type = isJson ? 'application/json' : 'application/octet-stream'
        const all = hasType ? given : [['content-type', type] as const, ...given]
        return {
          operation: 'POST',
          parameters: {
            url,
            headers: all.map(([key, value]) => ({ key, value })),
            ...(auth?.sigv4 && { auth: { sigv4: auth.sigv4 } }),
            ...(enableBatching && { batchConfig }),
          },
          body: { member: 'body', as: isJson ? 'text' : 'bytes' },
          ...(enableBatching && {
            batchKey: JSON.stringify([ruleName, index, batchAcrossTopics ? '' : source.topic]),
          }),
        }
      },
    })
  },
})

/** AWS IoT API Reference, BatchConfig: the defaults. */
const batchDefaults = { count: 10, periodMs: 20 }

/** What AWS takes, and loopback as in the lab: commands that try rules know no engine. */
const defaultUrlProblem = createHttpHosts({ hosts: [], isLab: true }).urlProblem

interface HttpDefinition {
  readonly url: string
  readonly confirmationUrl?: string | undefined
  readonly enableBatching?: boolean | undefined
  readonly headers?: readonly { readonly key: string }[] | undefined
}

function faultsOfDefinition(
  { url, confirmationUrl, enableBatching, headers = [] }: HttpDefinition,
  { place, index, isFaulty }: DefinitionContext,
): readonly SluiceError[] {
  const faults: SluiceError[] = []
  if (index === errorActionIndex && enableBatching) {
    faults.push(invalidField(`${place}.enableBatching`, ': an error action cannot batch'))
  }
  const hasTemplate = url.includes('${')
  if (hasTemplate && !confirmationUrl && !isFaulty('url')) {
    const problem = ' is missing: a url with a template needs it'
    faults.push(invalidField(`${place}.confirmationUrl`, problem))
  }
  if (!hasTemplate && confirmationUrl && !confirmationUrl.includes('${')) {
    const problem = prefixProblem(url, confirmationUrl)
    if (problem !== undefined) faults.push(invalidField(`${place}.url`, `: ${problem}`))
  }
  for (const [at, { key }] of headers.entries()) {
    if (!framingHeaders.has(key.toLowerCase())) continue
    const problem = `: the client itself writes ${key}`
    faults.push(invalidField(`${place}.headers[${at}].key`, problem))
  }
  return faults
}

/** They say where a request ends and whom it is for: a rule may not contradict what is sent. */
const framingHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * AWS asks for a prefix. A text alone would let `https://a.example.evil.example` pass for
 * `https://a.example`, which a device can write behind a template.
 */
function prefixProblem(url: string, confirmationUrl: string): string | undefined {
  if (url === confirmationUrl) return undefined
  const [own, confirmed] = [parsed(url), parsed(confirmationUrl)]
  // As they are requested: `/a/../b` is not below `/a`.
  if (own.origin === confirmed.origin && own.href.startsWith(confirmed.href)) return undefined
  return `"${shown(url)}" does not begin with the confirmationUrl "${shown(confirmationUrl)}"`
}

/** A text that is no URL has an origin of its own. */
function parsed(url: string): { readonly origin: string; readonly href: string } {
  return URL.canParse(url) ? new URL(url) : { origin: url, href: url }
}

const headerLength = lengthBetween(0, 16_384)

function headerValue(value: string): string | undefined {
  return /[^\t\u0020-\u007e\u0080-\u00ff]/.test(value)
    ? `"${shown(value)}" is not the value of a header`
    : headerLength(value)
}
