import { Type } from 'typebox'
import type { ServiceKind } from '../../outbox/outbox.ts'
import { template } from '../action/action-template.ts'
import { closed, roleArnType, textType } from '../action/field-types.ts'
import { jsonProblem } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { lengthBetween, matching } from '../action/text-checks.ts'

const endpoint = matching(
  /^https?:\/\/[^/?#\s]+\/?$/,
  'the endpoint of a domain: https://search-<name>.<region>.es.amazonaws.com',
)
/** OpenSearch documentation, "Create index": names. */
const index = matching(
  /^(?![_+-])(?!\.{1,2}$)[^A-Z\s"*\\<>|,/?#:]{1,255}$/,
  'the name of an index: lower-case letters, not beginning with "_", "-" or "+"',
)
const idBytesMax = 512

/**
 * Writes the output of the rule as a document of a domain. Documents with the same id are written
 * in order.
 */
export const openSearchAction = documentAction('openSearch')

/** The same under the name that AWS IoT keeps for existing rules. */
export const elasticsearchAction = documentAction('elasticsearch')

function documentAction(kind: ServiceKind & ('openSearch' | 'elasticsearch')) {
  return serviceAction({
    kind,
    schema: Type.Object(
      { roleArn: roleArnType, endpoint: textType, index: textType, type: textType, id: textType },
      closed,
    ),
    plan: ({ roleArn, ...definition }) =>
      actionPlan({
        roleArn,
        templates: {
          endpoint: template(definition.endpoint, endpoint),
          index: template(definition.index, index),
          type: template(definition.type, typeProblem),
          id: template(definition.id, idProblem),
        },
        // A domain may have an index and refuse another: each has a queue of its own.
        target: (texts) => `${texts.endpoint.replace(/\/$/, '')}/${texts.index}`,
        region: regionOfDomain,
        call(texts, { output }) {
          const problem = jsonProblem(output)
          if (problem !== undefined) return { problem }
          return {
            operation: 'PUT',
            parameters: {
              endpoint: texts.endpoint,
              path: `/${[texts.index, texts.type, texts.id].map(encodeURIComponent).join('/')}`,
            },
            body: { member: 'body', as: 'text' },
            orderKey: `${texts.index}\n${texts.id}`,
          }
        },
      }),
  })
}

const typeLength = lengthBetween(1, 255)

function typeProblem(type: string): string | undefined {
  return dotProblem(type) ?? typeLength(type)
}

function idProblem(id: string): string | undefined {
  if (id === '') return 'the id of the document is empty'
  const problem = dotProblem(id)
  if (problem !== undefined) return problem
  const bytes = Buffer.byteLength(id)
  return bytes > idBytesMax ? `the id has ${bytes} bytes; a domain takes ${idBytesMax}` : undefined
}

/** In a path these mean another document, or the index itself. */
function dotProblem(text: string): string | undefined {
  return text === '.' || text === '..'
    ? `"${text}" cannot stand in the path of a document`
    : undefined
}

function regionOfDomain(url: string): string | undefined {
  return /\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:es|aoss)\.amazonaws\.com/.exec(url)?.[1]
}
