/**
 * A config text as a tree that knows the line of every value.
 *
 * The one door of `jsonc-parser`: JSON with comments and trailing commas.
 */
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser'
import type { Finding } from '../contract/findings.ts'

export type JsonPath = readonly (string | number)[]

export interface Position {
  readonly line: number
  readonly column: number
}

export interface ConfigDocument {
  readonly value: unknown
  readonly findings: readonly Finding[]
  /** Where a value stands, or its nearest parent that exists. `key` asks for its name instead. */
  position(path: JsonPath, part?: 'value' | 'key'): Position
}

export function parseDocument(text: string, file: string): ConfigDocument {
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true })
  const findings: Finding[] = errors.map(error => ({
    severity: 'error',
    code: 'config_syntax',
    message: `not JSON: ${printParseErrorCode(error.error)}`,
    file,
    ...positionOf(text, error.offset),
  }))
  if (root) collectDuplicates(root, text, file, findings)
  else if (findings.length === 0) {
    findings.push({
      severity: 'error',
      code: 'config_syntax',
      message: 'the file is empty',
      file,
      line: 1,
      column: 1,
    })
  }
  return {
    value: root && errors.length === 0 ? getNodeValue(root) : undefined,
    findings,
    position(path, part = 'value') {
      for (let length = path.length; root && length >= 0; length--) {
        const node = findNodeAtLocation(root, path.slice(0, length) as (string | number)[])
        if (!node) continue
        const named = part === 'key' && length === path.length && node.parent?.type === 'property'
        return positionOf(text, (named ? node.parent?.offset : node.offset) ?? node.offset)
      }
      return { line: 1, column: 1 }
    },
  }
}

function collectDuplicates(node: Node, text: string, file: string, findings: Finding[]): void {
  const seen = new Set<unknown>()
  for (const child of node.children ?? []) {
    const key = node.type === 'object' ? child.children?.[0] : undefined
    if (key) {
      if (seen.has(key.value)) {
        const message = `${JSON.stringify(key.value)} is given twice`
        findings.push({
          severity: 'error',
          code: 'config_duplicate',
          message,
          file,
          ...positionOf(text, key.offset),
        })
      }
      seen.add(key.value)
    }
    collectDuplicates(child, text, file, findings)
  }
}

function positionOf(text: string, offset: number): Position {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

/** A path as people write it: `pools.chat.targets[0].url`. */
export function showPath(path: JsonPath): string {
  if (path.length === 0) return 'the config'
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index ? `.${part}` : part))
    .join('')
}
