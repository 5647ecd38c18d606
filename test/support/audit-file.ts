/** An audit log of real lines in a real file. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createBatch } from '../../src/audit/batch.ts'
import { GENESIS, type Link } from '../../src/audit/chain.ts'
import { temporaryFolder } from './folder.ts'

export interface AuditFile {
  readonly file: string
  readonly lines: readonly string[]
  /** The last one. */
  readonly link: Link
}

/** @returns The record's line, without its line feed, and the link that the next one follows. */
export function seal(record: string, previous: Link): { line: string; link: Link } {
  const batch = createBatch()
  const link = batch.add(record, previous)
  return { line: batch.bytes().toString('utf8').slice(0, -1), link }
}

export function auditFile(records: readonly string[], from: Link = GENESIS): AuditFile {
  let link = from
  const lines = records.map(record => {
    const sealed = seal(record, link)
    link = sealed.link
    return sealed.line
  })
  const file = path.join(temporaryFolder(), 'audit.jsonl')
  writeFileSync(file, lines.map(line => `${line}\n`).join(''))
  return { file, lines, link }
}

export function writeHead(file: string, link: Link): void {
  writeFileSync(`${file}.head`, JSON.stringify(link))
}

export function linesIn(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1)
}
