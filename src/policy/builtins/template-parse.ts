/** Template parse: Go's `text/template`, as a tree. */
import { BuiltinError } from './builtin.ts'

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipe }
  | { kind: 'if' | 'with' | 'range'; pipe: Pipe; body: Node[]; otherwise: Node[] }
  | { kind: 'template'; name: string; pipe: Pipe | undefined }
  | { kind: 'break' | 'continue' }

/** Commands, each given the answer of the one before; and the variables that get the last answer. */
export interface Pipe {
  variables: string[]
  declares: boolean
  commands: Term[][]
}

export type Term =
  | { kind: 'dot' | 'nil' }
  | { kind: 'constant'; value: string | bigint | number | boolean }
  | { kind: 'function'; name: string }
  | { kind: 'field'; of: Term | undefined; names: string[] }
  | { kind: 'variable'; name: string }
  | { kind: 'pipe'; pipe: Pipe }

export interface Template {
  root: Node[]
  defined: Map<string, Node[]>
}

const ACTION =
  /\{\{(-\s)?\s*((?:\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)*'|(?!\}\}|\s-\}\})[\s\S])*?)(\s-)?\s*\}\}/y
const TOKEN =
  /\s*(:=|[|(),=]|"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)*'|\$\w*(?:\.\w+)*|(?:\.\w+)+|\.|[-+]?\d[\w.+-]*|[\p{L}_]\w*|\S)/uy

/** @throws BuiltinError */
export function parseTemplate(text: string): Template {
  return new Parser(text).template()
}

/** Text, or the inside of an action. */
type Piece = { text: string } | { action: string }

function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let trimNext = false
  for (let at = 0; at < text.length; ) {
    const open = text.indexOf('{{', at)
    let literal = text.slice(at, open < 0 ? text.length : open)
    if (trimNext) literal = literal.trimStart()
    if (open < 0) {
      found.push({ text: literal })
      break
    }
    ACTION.lastIndex = open
    const match = ACTION.exec(text)
    if (!match) throw failure('unclosed action')
    found.push({ text: match[1] ? literal.trimEnd() : literal })
    const action = (match[2] as string).trim()
    if (!action.startsWith('/*')) found.push({ action })
    trimNext = match[3] !== undefined
    at = ACTION.lastIndex
  }
  return found
}

class Parser {
  private readonly pieces: Piece[]
  private readonly defined = new Map<string, Node[]>()
  private tokens: string[] = []

  constructor(text: string) {
    this.pieces = pieces(text)
  }

  template(): Template {
    const { nodes, end } = this.list()
    if (end !== '') throw failure(`unexpected {{${end}}}`)
    return { root: nodes, defined: this.defined }
  }

  /** Nodes up to `end` or `else`, which is left in the tokens. */
  private list(): { nodes: Node[]; end: '' | 'end' | 'else' } {
    const nodes: Node[] = []
    for (let piece = this.pieces.shift(); piece; piece = this.pieces.shift()) {
      if ('text' in piece) {
        if (piece.text !== '') nodes.push({ kind: 'text', text: piece.text })
        continue
      }
      this.tokens = tokensOf(piece.action)
      const word = this.tokens[0]
      if (word === 'end' || word === 'else') {
        this.tokens.shift()
        return { nodes, end: word }
      }
      const node = this.action()
      if (node) nodes.push(node)
    }
    return { nodes, end: '' }
  }

  private action(): Node | undefined {
    const word = this.tokens[0]
    if (word === 'if' || word === 'with' || word === 'range') {
      this.tokens.shift()
      return this.block(word)
    }
    if (word === 'define' || word === 'block') return this.definition(word)
    if (word === 'break' || word === 'continue') return { kind: word }
    if (word === 'template') {
      this.tokens.shift()
      const name = this.quotedName()
      return { kind: 'template', name, pipe: this.tokens.length > 0 ? this.pipe() : undefined }
    }
    return { kind: 'action', pipe: this.pipe() }
  }

  private block(kind: 'if' | 'with' | 'range'): Node {
    const pipe = this.pipe()
    const { nodes: body, end } = this.list()
    if (end === '') throw failure('unexpected EOF')
    if (end === 'end') return { kind, pipe, body, otherwise: [] }
    // `{{else if …}}` shares its end with the one it belongs to.
    if (this.tokens[0] === 'if' || this.tokens[0] === 'with') {
      const inner = this.tokens.shift() as 'if' | 'with'
      return { kind, pipe, body, otherwise: [this.block(inner)] }
    }
    const otherwise = this.list()
    if (otherwise.end !== 'end') throw failure('expected end')
    return { kind, pipe, body, otherwise: otherwise.nodes }
  }

  private definition(word: 'define' | 'block'): Node | undefined {
    this.tokens.shift()
    const name = this.quotedName()
    const pipe = word === 'block' ? this.pipe() : undefined
    const { nodes, end } = this.list()
    if (end !== 'end') throw failure('expected end')
    this.defined.set(name, nodes)
    return word === 'block' ? { kind: 'template', name, pipe } : undefined
  }

  private quotedName(): string {
    const token = this.tokens.shift() ?? ''
    if (!/^["`]/.test(token)) throw failure('unexpected template name')
    return unquote(token)
  }

  private pipe(close?: string): Pipe {
    const pipe: Pipe = { variables: [], declares: false, commands: [] }
    const assignment = this.tokens.findIndex(token => token === ':=' || token === '=')
    const names = assignment < 0 ? [] : this.tokens.slice(0, assignment).filter(token => token !== ',')
    if (names.length > 0 && names.every(name => /^\$\w*$/.test(name))) {
      pipe.variables = names
      pipe.declares = this.tokens[assignment] === ':='
      this.tokens.splice(0, assignment + 1)
    }
    pipe.commands.push(this.command(close))
    while (this.tokens[0] === '|') {
      this.tokens.shift()
      pipe.commands.push(this.command(close))
    }
    if (close !== undefined) {
      if (this.tokens.shift() !== close) throw failure('unclosed left paren')
    } else if (this.tokens.length > 0) throw failure(`unexpected ${this.tokens[0]}`)
    return pipe
  }

  private command(close: string | undefined): Term[] {
    const terms: Term[] = []
    while (this.tokens.length > 0 && this.tokens[0] !== '|' && this.tokens[0] !== close)
      terms.push(this.term())
    if (terms.length === 0) throw failure('missing value for command')
    return terms
  }

  private term(): Term {
    const token = this.tokens.shift() as string
    if (token === '(') {
      const pipe: Term = { kind: 'pipe', pipe: this.pipe(')') }
      const next = this.tokens[0]
      if (!next || !/^\.\w/.test(next)) return pipe
      this.tokens.shift()
      return { kind: 'field', of: pipe, names: next.slice(1).split('.') }
    }
    if (token === '.') return { kind: 'dot' }
    if (token.startsWith('.')) return { kind: 'field', of: undefined, names: token.slice(1).split('.') }
    if (token.startsWith('$')) {
      const [name = '', ...names] = token.split('.')
      const variable: Term = { kind: 'variable', name }
      return names.length === 0 ? variable : { kind: 'field', of: variable, names }
    }
    return constant(token)
  }
}

function tokensOf(action: string): string[] {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  for (let match = TOKEN.exec(action); match; match = TOKEN.exec(action)) tokens.push(match[1] as string)
  if (tokens.length === 0) throw failure('missing value for command')
  return tokens
}

function constant(token: string): Term {
  if (token === 'nil') return { kind: 'nil' }
  if (token === 'true' || token === 'false') return { kind: 'constant', value: token === 'true' }
  if (/^["`]/.test(token)) return { kind: 'constant', value: unquote(token) }
  if (/^'/.test(token))
    return { kind: 'constant', value: BigInt(unquote(`"${token.slice(1, -1)}"`).codePointAt(0) ?? 0) }
  if (/^[-+]?\d+$/.test(token)) return { kind: 'constant', value: BigInt(token) }
  if (/^[-+]?\d/.test(token) && Number.isFinite(Number(token)))
    return { kind: 'constant', value: Number(token) }
  if (/^[\p{L}_]\w*$/u.test(token)) return { kind: 'function', name: token }
  throw failure(`unexpected ${token}`)
}

function unquote(token: string): string {
  if (token.startsWith('`')) return token.slice(1, -1)
  try {
    return JSON.parse(token.replaceAll("\\'", "'")) as string
  } catch (cause) {
    throw new BuiltinError(`template: bad string ${token}`, { cause })
  }
}

function failure(message: string): BuiltinError {
  return new BuiltinError(`template: ${message}`)
}
