/**
 * The named character classes of Java: `\d`, `\h`, `\p{Alpha}`, `\p{Lu}`, `\p{IsGreek}`,
 * `\p{InCyrillic}`, `\p{javaLowerCase}` and so on (java.util.regex.Pattern, Java 17).
 */
import { blockSet } from './blocks.ts'
import {
  complement,
  difference,
  everyCodePoint,
  intersection,
  setOf,
  setOfCharacters,
  union,
} from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'
import { unicodeSet, unicodeSetOf } from './unicode-sets.ts'

/** The flags that change the meaning of a named class. */
interface PropertyFlags {
  readonly ignoreCase: boolean
  /** (?U): the ASCII classes become Unicode classes. */
  readonly unicodeClasses: boolean
}

const digits = setOf([0x30, 0x39])
const lowerLetters = setOf([0x61, 0x7a])
const upperLetters = setOf([0x41, 0x5a])
const asciiLetters = union(lowerLetters, upperLetters)
const asciiSpace = setOf([0x9, 0xd], [0x20, 0x20])
const asciiGraph = setOf([0x21, 0x7e])
const controls = setOf([0, 0x1f], [0x7f, 0x9f])
const joinControls = setOf([0x200c, 0x200d])

export const lineTerminators = setOfCharacters('\n\r\u0085\u2028\u2029')

const categories = (...names: readonly string[]) => union(...names.map(unicodeSetOf))
const cased = () => union(unicodeSetOf('Lowercase'), unicodeSetOf('Uppercase'), titleCase())
const titleCase = () => unicodeSetOf('Lt')
const whiteSpace = () => union(categories('Z'), setOf([0x9, 0xd], [0x85, 0x85]))
const blank = () => union(categories('Zs'), setOf([0x9, 0x9]))
const alphanumeric = () => categories('Alphabetic', 'Nd')
const graph = () => complement(union(categories('Z', 'Cc', 'Cs', 'Cn')))
const word = () => union(categories('Alphabetic', 'M', 'Nd', 'Pc'), joinControls)
const hexDigits = () =>
  union(
    categories('Nd'),
    setOfCharacters('ABCDEFabcdef'),
    setOf([0xff21, 0xff26], [0xff41, 0xff46]),
  )

/** Letters of class escapes in lower case. The upper-case letter is the complement. */
export function escapeClass(letter: string, unicodeClasses: boolean): CodePointSet | undefined {
  switch (letter) {
    case 'd':
      return unicodeClasses ? categories('Nd') : digits
    case 's':
      return unicodeClasses ? whiteSpace() : asciiSpace
    case 'w':
      return unicodeClasses ? word() : union(asciiLetters, digits, setOfCharacters('_'))
    case 'h':
      return setOfCharacters(
        '\t \u00a0\u1680\u180e\u202f\u205f\u3000\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a',
      )
    case 'v':
      return setOf([0xa, 0xd], [0x85, 0x85], [0x2028, 0x2029])
    default:
      return undefined
  }
}

/** The characters of words for `\b`, without combining marks. */
export const boundaryWord = once(() => union(categories('L', 'Nd'), setOfCharacters('_')))
/** The same with (?U). */
export const unicodeBoundaryWord = once(word)
/** A combining mark is part of a word when one of these stands before it. */
export const markBases = once(() => categories('L', 'Nd'))
export const combiningMarks = () => unicodeSetOf('Mn')

/** Made at the first use, because reading the tables takes milliseconds. */
function once(make: () => CodePointSet): () => CodePointSet {
  let made: CodePointSet | undefined
  return () => (made ??= make())
}

/**
 * @param name the text between the braces of `\p{...}`, or its one letter
 * @returns undefined for a name that Java does not know
 */
export function namedClass(name: string, flags: PropertyFlags): CodePointSet | undefined {
  const equals = name.indexOf('=')
  if (equals >= 0) return valueClass(name.slice(0, equals), name.slice(equals + 1), flags)
  if (name.startsWith('In')) return blockSet(name.slice(2))
  if (name.startsWith('Is')) {
    const rest = name.slice(2)
    const upper = rest.toUpperCase()
    return (
      binaryProperty(upper, flags) ??
      unicodePosixClass(upper, flags) ??
      plainClass(rest, flags) ??
      scriptClass(rest)
    )
  }
  const posix = flags.unicodeClasses ? unicodePosixClass(name.toUpperCase(), flags) : undefined
  return posix ?? plainClass(name, flags)
}

/** `script=Greek`, `block=Basic Latin`, `general_category=Lu` and their short forms. */
function valueClass(key: string, value: string, flags: PropertyFlags): CodePointSet | undefined {
  switch (key.toLowerCase()) {
    case 'sc':
    case 'script':
      return scriptClass(value)
    case 'blk':
    case 'block':
      return blockSet(value)
    case 'gc':
    case 'general_category':
      return plainClass(value, flags)
    default:
      return undefined
  }
}

/** Java accepts a script's name in any letter case, JavaScript only `Old_Italic`. */
function scriptClass(name: string): CodePointSet | undefined {
  const lower = name.toLowerCase()
  if (lower === 'signwriting') return unicodeSet('Script=SignWriting')
  return unicodeSet(`Script=${lower.replaceAll(/(?<=^|_)[a-z]/g, (first) => first.toUpperCase())}`)
}

function binaryProperty(name: string, { ignoreCase }: PropertyFlags): CodePointSet | undefined {
  switch (name) {
    case 'ALPHABETIC':
      return categories('Alphabetic')
    case 'ASSIGNED':
      return complement(categories('Cn'))
    case 'CONTROL':
      return categories('Cc')
    case 'HEXDIGIT':
    case 'HEX_DIGIT':
      return hexDigits()
    case 'IDEOGRAPHIC':
      return categories('Ideographic')
    case 'JOINCONTROL':
    case 'JOIN_CONTROL':
      return joinControls
    case 'LETTER':
      return categories('L')
    case 'LOWERCASE':
      return ignoreCase ? cased() : categories('Lowercase')
    case 'UPPERCASE':
      return ignoreCase ? cased() : categories('Uppercase')
    case 'TITLECASE':
      return ignoreCase ? cased() : titleCase()
    case 'NONCHARACTERCODEPOINT':
    case 'NONCHARACTER_CODE_POINT':
      return categories('Noncharacter_Code_Point')
    case 'PUNCTUATION':
      return categories('P')
    case 'WHITESPACE':
    case 'WHITE_SPACE':
      return whiteSpace()
    case 'WORD':
      return word()
    default:
      return undefined
  }
}

/** The Unicode meaning of the POSIX names: with (?U), and after `Is`. */
function unicodePosixClass(name: string, { ignoreCase }: PropertyFlags): CodePointSet | undefined {
  switch (name) {
    case 'ALPHA':
      return categories('Alphabetic')
    case 'LOWER':
      return ignoreCase ? cased() : categories('Lowercase')
    case 'UPPER':
      return ignoreCase ? cased() : categories('Uppercase')
    case 'SPACE':
      return whiteSpace()
    case 'PUNCT':
      return categories('P')
    case 'XDIGIT':
      return hexDigits()
    case 'ALNUM':
      return alphanumeric()
    case 'CNTRL':
      return categories('Cc')
    case 'DIGIT':
      return categories('Nd')
    case 'BLANK':
      return blank()
    case 'GRAPH':
      return graph()
    case 'PRINT':
      return difference(union(graph(), blank()), categories('Cc'))
    default:
      return undefined
  }
}

/**
 * General categories, the ASCII meaning of the POSIX names, and the methods of java.lang.Character.
 */
function plainClass(name: string, flags: PropertyFlags): CodePointSet | undefined {
  if (/^(?:L[ulmot]?|M[nec]?|N[dlo]?|Z[slp]?|C[cfosn]?|P[dsecoif]?|S[mcko]?|LC)$/.test(name)) {
    const anyCase = flags.ignoreCase && /^L[ult]$/.test(name)
    return categories(anyCase ? 'LC' : name)
  }
  return posixClass(name, flags) ?? methodClass(name, flags)
}

function posixClass(name: string, { ignoreCase }: PropertyFlags): CodePointSet | undefined {
  switch (name) {
    case 'LD':
      return categories('L', 'Nd')
    case 'L1':
      return setOf([0, 0xff])
    case 'all':
      return everyCodePoint
    case 'ASCII':
      return setOf([0, 0x7f])
    case 'Alnum':
      return union(asciiLetters, digits)
    case 'Alpha':
      return asciiLetters
    case 'Blank':
      return setOfCharacters(' \t')
    case 'Cntrl':
      return setOf([0, 0x1f], [0x7f, 0x7f])
    case 'Digit':
      return digits
    case 'Graph':
      return asciiGraph
    case 'Lower':
      return ignoreCase ? asciiLetters : lowerLetters
    case 'Upper':
      return ignoreCase ? asciiLetters : upperLetters
    case 'Print':
      return setOf([0x20, 0x7e])
    case 'Punct':
      return difference(asciiGraph, union(asciiLetters, digits))
    case 'Space':
      return asciiSpace
    case 'XDigit':
      return union(digits, setOfCharacters('ABCDEFabcdef'))
    default:
      return undefined
  }
}

function methodClass(name: string, { ignoreCase }: PropertyFlags): CodePointSet | undefined {
  switch (name) {
    case 'javaLowerCase':
      return ignoreCase ? cased() : categories('Lowercase')
    case 'javaUpperCase':
      return ignoreCase ? cased() : categories('Uppercase')
    case 'javaTitleCase':
      return ignoreCase ? cased() : titleCase()
    case 'javaAlphabetic':
      return categories('Alphabetic')
    case 'javaIdeographic':
      return categories('Ideographic')
    case 'javaDigit':
      return categories('Nd')
    case 'javaDefined':
      return complement(categories('Cn'))
    case 'javaLetter':
      return categories('L')
    case 'javaLetterOrDigit':
      return categories('L', 'Nd')
    case 'javaJavaIdentifierStart':
      return categories('L', 'Nl', 'Sc', 'Pc')
    case 'javaJavaIdentifierPart':
      return union(categories('L', 'Nl', 'Sc', 'Pc', 'Nd', 'Mn', 'Mc'), ignorable())
    case 'javaUnicodeIdentifierStart':
      return categories('ID_Start')
    case 'javaUnicodeIdentifierPart':
      return union(categories('ID_Continue'), ignorable())
    case 'javaIdentifierIgnorable':
      return ignorable()
    case 'javaSpaceChar':
      return categories('Z')
    case 'javaWhitespace':
      return union(
        difference(categories('Z'), setOfCharacters('\u00a0\u2007\u202f')),
        setOf([0x9, 0xd], [0x1c, 0x1f]),
      )
    case 'javaISOControl':
      return controls
    case 'javaMirrored':
      return categories('Bidi_Mirrored')
    default:
      return undefined
  }
}

function ignorable(): CodePointSet {
  const control = intersection(controls, complement(setOf([0x9, 0xd], [0x1c, 0x1f])))
  return union(control, categories('Cf'))
}
