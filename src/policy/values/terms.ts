/**
 * Terms: values as text and back, in the grammar of the policy's `opa_value_parse` and `opa_value_dump`:
 * JSON, and beside it `{1, 2}`, `set()`, and objects with any key.
 *
 * The reader is a little wider, so that it reads what a person writes: trailing commas and raw strings.
 */
import { RegoNumber, RegoObject, RegoSet, type Value } from './values.ts'

/**
 * @param text - A Rego term without variables.
 * @throws SyntaxError when it is not one, or has something after it.
 */
export function readTerm(text: string): Value {
  if (text.charCodeAt(0) === QUOTE && !text.includes('\\')) {
    // Most arguments are one plain string.
    const end = text.indexOf('"', 1)
    if (end === text.length - 1) return text.slice(1, end)
  }
  return new Reader(text).whole()
}

/** The text of a value as a Rego term: what `readTerm` reads. */
export function writeTerm(value: Value): string {
  if (typeof value === 'string') return quote(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (value instanceof RegoNumber) return value.text
  if (Array.isArray(value)) return `[${value.map(writeTerm).join()}]`
  if (value instanceof RegoSet) return value.size === 0 ? 'set()' : `{${[...value].map(writeTerm).join()}}`
  return `{${[...value].map(([k, v]) => `${writeTerm(k)}:${writeTerm(v)}`).join()}}`
}

/** A JSON string; a lone surrogate becomes U+FFFD, as in Go: the policy's parser aborts on one. */
export function quote(text: string): string {
  const quoted = JSON.stringify(text)
  return quoted.includes('\\ud') ? JSON.stringify(text.replace(/\p{Surrogate}/gu, '\ufffd')) : quoted
}

const QUOTE = 0x22
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const SPACE = /(?:[\s]+|#[^\n]*)*/y
const STRING = /"(?:[^"\\]|\\.)*"/sy
const WORDS = new Map<string, Value>([
  ['null', null],
  ['true', true],
  ['false', false],
])

class Reader {
  private at = 0

  constructor(private readonly text: string) {}

  whole(): Value {
    const value = this.value()
    this.space()
    if (this.at < this.text.length) throw this.fault()
    return value
  }

  private value(): Value {
    this.space()
    const char = this.text[this.at]
    if (char === '"') return JSON.parse(this.token(STRING)) as string
    if (char === '{') return this.braces()
    if (char === '[') return this.list(']')
    if (char === '`') return this.raw()
    if (this.text.startsWith('set(', this.at)) return this.emptySet()
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length
        return value
      }
    }
    return new RegoNumber(this.token(NUMBER))
  }

  private list(close: string): Value[] {
    this.at++
    const values: Value[] = []
    while (!this.eat(close)) {
      values.push(this.value())
      if (!this.eat(',') && this.peek() !== close) throw this.fault()
    }
    return values
  }

  private braces(): Value {
    this.at++
    if (this.eat('}')) return new RegoObject()
    const first = this.value()
    return this.eat(':') ? this.object(first) : this.set(first)
  }

  private object(first: Value): RegoObject {
    const object = new RegoObject([[first, this.value()]])
    while (this.more()) {
      const key = this.value()
      if (!this.eat(':')) throw this.fault()
      object.set(key, this.value())
    }
    return object
  }

  private set(first: Value): RegoSet {
    const set = new RegoSet([first])
    while (this.more()) set.add(this.value())
    return set
  }

  /** After a member: whether another follows before the closing brace. */
  private more(): boolean {
    const comma = this.eat(',')
    if (this.eat('}')) return false
    if (!comma) throw this.fault()
    return true
  }

  private emptySet(): RegoSet {
    this.at += 'set('.length
    if (!this.eat(')')) throw this.fault()
    return new RegoSet()
  }

  private raw(): string {
    const end = this.text.indexOf('`', this.at + 1)
    if (end < 0) throw this.fault()
    const text = this.text.slice(this.at + 1, end)
    this.at = end + 1
    return text
  }

  private eat(char: string): boolean {
    if (this.peek() !== char) return false
    this.at++
    return true
  }

  private peek(): string | undefined {
    this.space()
    return this.text[this.at]
  }

  private space(): void {
    if (this.text.charCodeAt(this.at) > 0x23) return
    SPACE.lastIndex = this.at
    SPACE.exec(this.text)
    this.at = SPACE.lastIndex
  }

  private token(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (!match) throw this.fault()
    this.at = pattern.lastIndex
    return match[0]
  }

  private fault(): SyntaxError {
    return new SyntaxError(`unexpected character at ${this.at} of a term`)
  }
}
