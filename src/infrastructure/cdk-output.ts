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
  const artifacts = entriesOf(memberOf(manifest, 'artifacts'))
  for (const [id, artifact] of artifacts) await noteAssets(id, artifact, folder, context)
  for (const [id, artifact] of artifacts) {
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

/**
 * The folders of the code, as the manifest of assets names them. Templates have their paths as well
 * when `cdk synth` writes them, and not when the application is run alone.
 */
async function noteAssets(
  id: string,
  artifact: unknown,
  folder: string,
  { options, assets }: StackContext,
): Promise<void> {
  if (memberOf(artifact, 'type') !== 'cdk:asset-manifest') return
  const name = textOf(memberAt(artifact, 'properties', 'file')) ?? `${id}.json`
  // Without it, functions are listed as left out.
  const manifest = await readTemplateFile(path.join(folder, name), options).catch(() => undefined)
  for (const [, file] of entriesOf(memberOf(manifest, 'files'))) {
    const source = textOf(memberAt(file, 'source', 'path'))
    if (source === undefined) continue
    for (const [, destination] of entriesOf(memberOf(file, 'destinations'))) {
      const key = textOf(memberOf(destination, 'objectKey'))
      if (key !== undefined) assets.set(key, path.join(folder, source))
    }
  }
}
