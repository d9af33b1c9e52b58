import path from 'node:path'
import { entriesOf, isRecord, memberAt, textOf } from './json-values.ts'
import type { Template } from './scope.ts'
import type { JsonObject, StackOptions } from './stack.ts'
import { invalid, readTemplateFile } from './template-file.ts'

/** CloudFormation takes no more in one template. */
const resourcesMax = 500
const nestingMax = 8
/** Nested stacks can name one file many times. */
const templatesMax = 500

const nestedTypes: ReadonlySet<string> = new Set([
  'AWS::CloudFormation::Stack',
  'AWS::Serverless::Application',
])

/**
 * Reads a template of CloudFormation or SAM, and the templates of nested stacks that are local.
 *
 * @throws SluiceError TemplateInvalid (rejects): no template, or too many resources or levels
 */
export async function loadTemplate(
  file: string,
  options: FileOptions,
  progress = start,
): Promise<Template> {
  return templateOf(await readTemplateFile(file, options), file, options, progress)
}

type FileOptions = Pick<StackOptions, 'onFile'>

/** How deep a nested stack is, and how many there are. */
interface Progress {
  readonly level: number
  readonly loaded: { count: number } | undefined
}

const start: Progress = { level: 0, loaded: undefined }

/** @param json a template that was read from `file` */
export async function templateOf(
  json: unknown,
  file: string,
  options: FileOptions,
  { level, loaded = { count: 0 } }: Progress = start,
): Promise<Template> {
  loaded.count += 1
  if (loaded.count > templatesMax) throw invalid(file, `more than ${templatesMax} nested stacks`)
  if (level > nestingMax) throw invalid(file, `stacks that are nested deeper than ${nestingMax}`)
  const given = memberAt(json, 'Resources')
  if (!isRecord(json) || !isRecord(given)) {
    throw invalid(
      file,
      'no stack template: it has no Resources (CloudFormation, SAM), functions (serverless.yml), ' +
        'artifacts (the manifest of cdk.out) or planned_values (terraform show -json)',
    )
  }
  const resources = resourcesOf(given, file)
  const folder = path.dirname(file)
  const nested = new Map<string, Template>()
  for (const [id, resource] of entriesOf(resources)) {
    const location = nestedLocation(resource)
    if (location !== undefined) {
      const inner = path.join(folder, location)
      nested.set(id, await loadTemplate(inner, options, { level: level + 1, loaded }))
    }
  }
  return { file, folder, body: json, resources, nested }
}

/** @throws SluiceError TemplateInvalid: too many, or one without a type */
export function resourcesOf(given: unknown, file: string): Readonly<Record<string, JsonObject>> {
  const entries = entriesOf(given)
  if (entries.length > resourcesMax) {
    throw invalid(file, `${entries.length} resources; CloudFormation takes at most ${resourcesMax}`)
  }
  return Object.fromEntries(
    entries.flatMap(([id, resource]): [string, JsonObject][] => {
      // Loops and macros stand beside resources: they are expanded or listed later.
      if (id.startsWith('Fn::')) return []
      if (isRecord(resource) && textOf(resource['Type']) !== undefined) return [[id, resource]]
      throw invalid(file, `the resource ${id} has no Type`)
    }),
  )
}

/** The path of a nested template that is a local file. */
function nestedLocation(resource: unknown): string | undefined {
  if (!nestedTypes.has(textOf(memberAt(resource, 'Type')) ?? '')) return undefined
  const location =
    memberAt(resource, 'Metadata', 'aws:asset:path') ??
    memberAt(resource, 'Properties', 'TemplateURL') ??
    memberAt(resource, 'Properties', 'Location')
  const isLocal = typeof location === 'string' && !/^[a-z0-9+.-]+:\/\//i.test(location)
  return isLocal ? location : undefined
}
