import { Composer, Lexer, LineCounter, Parser, isAlias, isMap, isScalar, isSeq } from 'yaml'
import type { CST, Node, YAMLMap } from 'yaml'
import { SluiceError } from '../base/errors.ts'

/** CloudFormation takes no larger template. */
const yamlBytesMax = 1_048_576
/** Values of a document, those behind aliases counted each time. */
const valuesMax = 500_000
const depthMax = 100

/** Tags of YAML itself, which change nothing where all scalars are texts. */
const yamlTag = /^tag:yaml\.org,2002:/

/**
 * Reads YAML as CloudFormation does: every scalar is a text, so that `2016-03-23` is no date, and
 * a short tag is its intrinsic function (`!GetAtt A.Arn` -> `{"Fn::GetAtt": "A.Arn"}`).
 *
 * @returns JSON values; an empty scalar is null
 * @throws SluiceError TemplateInvalid: no YAML, or too large, too deep or too many values
 */
export function readYaml(text: string, file: string): unknown {
  if (Buffer.byteLength(text) > yamlBytesMax) {
    throw new SluiceError('TemplateInvalid', `${file}: YAML of more than ${yamlBytesMax} bytes`)
  }
  const lines = new LineCounter()
  const composer = new Composer({ schema: 'failsafe', logLevel: 'silent' })
  const tokens = tokensOf(text, file, lines)
  // The first document counts, as in a template of CloudFormation.
  const [document] = composer.compose(tokens, true, text.length)
  const error = document?.errors[0]
  if (error) {
    const { line, col } = lines.linePos(error.pos[0])
    const where = `at line ${line}, column ${col}`
    throw new SluiceError('TemplateInvalid', `${file}: not valid YAML: ${error.message} ${where}`)
  }
  return createConverter(file)(document?.contents ?? null, 0)
}

/**
 * The tokens of the library's parser, which keeps its own stack. What comes after it calls itself,
 * so that the depth is bounded here: text that is nested very deep would end the process.
 */
function tokensOf(text: string, file: string, lines: LineCounter): readonly CST.Token[] {
  const parser = new Parser(lines.addNewLine)
  const tokens: CST.Token[] = []
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme))
    if (parser.stack.length > depthMax) throw tooDeep(file)
  }
  tokens.push(...parser.end())
  return tokens
}

const tooDeep = (file: string) =>
  new SluiceError('TemplateInvalid', `${file}: YAML that is nested deeper than ${depthMax} levels`)

function createConverter(file: string): (node: Node | null, depth: number) => unknown {
  /** The last node with a name; an alias inside its own node is found by `open`. */
  const anchors = new Map<string, Node>()
  const open = new Set<Node>()
  let values = 0

  const refuse = (reason: string) => new SluiceError('TemplateInvalid', `${file}: ${reason}`)

  function convert(node: Node | null, depth: number): unknown {
    values += 1
    if (values > valuesMax) throw refuse(`YAML with more than ${valuesMax} values, aliases counted`)
    if (depth > depthMax) throw tooDeep(file)
    if (node === null) return null
    if (isAlias(node)) return convertAlias(node.source, depth)
    if ('anchor' in node && node.anchor !== undefined) anchors.set(node.anchor, node)
    open.add(node)
    const value = untagged(node, depth)
    open.delete(node)
    const { tag } = node
    if (tag === undefined || !tag.startsWith('!') || tag === '!' || yamlTag.test(tag)) return value
    const name = tag.slice(1)
    return { [name === 'Ref' || name === 'Condition' ? name : `Fn::${name}`]: value ?? '' }
  }

  function convertAlias(name: string, depth: number): unknown {
    const target = anchors.get(name)
    if (!target) throw refuse(`the YAML alias *${name} names nothing`)
    if (open.has(target)) throw refuse(`the YAML alias *${name} contains itself`)
    return convert(target, depth + 1)
  }

  function untagged(node: Node, depth: number): unknown {
    if (isScalar(node)) {
      const isPlain = node.type === 'PLAIN'
      return isPlain && /^(~|null)?$/i.test(String(node.value)) ? null : node.value
    }
    if (isSeq(node)) return node.items.map((item) => convert(item as Node | null, depth + 1))
    return isMap(node) ? convertMap(node, depth) : null
  }

  function convertMap(node: YAMLMap, depth: number): unknown {
    const members = node.items.flatMap(({ key, value }): (readonly [string, unknown])[] => {
      if (!isScalar(key)) throw refuse('YAML with a key that is no text')
      const converted = convert(value as Node | null, depth + 1)
      const name = String(key.value)
      if (name !== '<<') return [[name, converted]]
      // The members of the map itself win over merged ones, wherever they stand.
      const merged = Array.isArray(converted) ? converted.toReversed() : [converted]
      return merged.flatMap((one: unknown) => Object.entries(Object(one) as object))
    })
    const own = new Set(node.items.map(({ key }) => (isScalar(key) ? String(key.value) : '')))
    const merges = own.has('<<')
    return Object.fromEntries(
      merges ? [...members, ...members.filter(([n]) => own.has(n))] : members,
    )
  }

  return convert
}
