import { Type } from 'typebox'
import { invalidRequest } from '../../base/errors.ts'
import { optionalTemplate, template } from '../action/action-template.ts'
import { errorActionIndex } from '../../outbox/outbox.ts'
import { closed, optionalFlagType, roleArnType, textType } from '../action/field-types.ts'
import { fieldOfAction } from '../action/action.ts'
import { readOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { lengthBetween, shown } from '../action/text-checks.ts'

const urlText = Type.String({ maxLength: 2_000 })
/** AWS IoT developer guide, "HTTP": the ports that a URL may have. */
const ports = ['', '443', '8443']

const batchConfig = Type.Object(
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
      batchConfig: Type.Optional(batchConfig),
    },
    closed,
  ),
  plan({ headers = [], auth, ...definition }, { index }) {
    const { url: urlTemplate, confirmationUrl, enableBatching = false } = definition
    const place = `${fieldOfAction(index)}.http`
    if (index === errorActionIndex && enableBatching) {
      throw invalidRequest(`${place}.enableBatching: an error action cannot batch`)
    }
    if (urlTemplate.includes('${') && !confirmationUrl) {
      throw invalidRequest(`${place}.confirmationUrl is missing: a url with a template needs it`)
    }
    return actionPlan({
      roleArn: auth?.sigv4?.roleArn,
      templates: {
        url: template(urlTemplate, urlProblem),
        confirmationUrl: optionalTemplate(confirmationUrl || undefined),
        headers: headers.map(({ value }) => ({ value: template(value, headerValue) })),
      },
      target: (texts) => new URL(texts.url).origin,
      call(texts, { output }) {
        const given = headers.map(({ key }, at) => [key, texts.headers[at]?.value ?? ''] as const)
        const hasType = given.some(([key]) => key.toLowerCase() === 'content-type')
        const isJson = readOutput(output) !== undefined
        const type = isJson ? 'application/json' : 'application/octet-stream'
        const all = hasType ? given : [['content-type', type] as const, ...given]
        return {
          operation: 'POST',
          parameters: {
            url: texts.url,
            headers: all.map(([key, value]) => ({ key, value })),
            ...(auth?.sigv4 && { auth: { sigv4: auth.sigv4 } }),
            ...(enableBatching && { batchConfig: definition.batchConfig ?? {} }),
          },
          body: { member: 'body', as: isJson ? 'text' : 'bytes' },
        }
      },
    })
  },
})

const headerLength = lengthBetween(0, 16_384)

function headerValue(value: string): string | undefined {
  return /[^\t\u0020-\u007e\u0080-\u00ff]/.test(value)
    ? `"${shown(value)}" is not the value of a header`
    : headerLength(value)
}

function urlProblem(url: string): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'https:') return `"${shown(url)}" is not a URL that begins with https://`
  if (parsed.hostname.startsWith('[')) return 'the host is an IPv6 address, which is not taken'
  if (ports.includes(parsed.port)) return undefined
  return `port ${parsed.port} is not taken, only 443 and 8443`
}
