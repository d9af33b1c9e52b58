import path from 'node:path'
import { createScope } from './create-scope.ts'
import { entriesOf, memberAt, memberOf, textOf } from './json-values.ts'
import { loadTemplate } from './load-template.ts'
import type { Scope, StackContext } from './scope.ts'
import { invalid, readTemplateFile } from './template-file.ts'

const stagesMax = 10

/**
 * The stacks of a CDK application: `manifest.json` of `cdk.out` and of its stages (Cloud Assembly
 * Schema, `aws:cloudformation:stack` and `cdk:cloud-assembly`).
 *
 * @param file the manifest
 * @throws SluiceError TemplateInvalid (rejects)
 */
export async function readCdkOutput(
  file: string,
  context: StackContext,
  level = 0,
): Promise<readonly Scope[]> {
  if (level > stagesMax) throw invalid(file, `stages that are nested deeper than ${stagesMax}`)
  const manifest = await readTemplateFile(file, context.options)
  const folder = path.dirname(file)
  const scopes: Scope[] = []
  for (const [id, artifact] of entriesOf(memberOf(manifest, 'artifacts'))) {
    const type = memberOf(artifact, 'type')
    const properties = memberOf(artifact, 'properties')
    if (type === 'cdk:cloud-assembly') {
      const stage = textOf(memberOf(properties, 'directoryName')) ?? id
      const inner = path.join(folder, stage, 'manifest.json')
      scopes.push(...(await readCdkOutput(inner, context, level + 1)))
    } else if (type === 'aws:cloudformation:stack') {
      const name = textOf(memberOf(properties, 'templateFile')) ?? `${id}.template.json`
      const template = await loadTemplate(path.join(folder, name), context.options)
      const given = new Map(entriesOf(memberAt(properties, 'parameters')))
      const stackName = textOf(memberOf(properties, 'stackName')) ?? id
      scopes.push(createScope(template, stackName, given, context))
    }
  }
  return scopes
}
