import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { GENESIS, type Link } from '../../src/audit/chain.ts'
import { createSigner, newKeyPair, readPublicKey } from '../../src/audit/checkpoint.ts'
import { createAuditLog } from '../../src/audit/log.ts'
import { verify } from '../../src/audit/verify.ts'
import { auditFile, seal, writeHead } from '../support/audit-file.ts'

const KEYS = newKeyPair()
const PUBLIC = [readPublicKey(KEYS.publicPem)]

/** What a gateway writes of so many records. */
async function written(
  count: number,
  every: number,
  { privatePem = KEYS.privatePem, from = GENESIS, isKilled = false } = {},
): Promise<string[]> {
  const lines: string[] = []
  const sink = {
    append: (bytes: Buffer) => void lines.push(...bytes.toString().trimEnd().split('\n')),
    close: async () => {},
  }
  const log = createAuditLog({
    channels: [{ type: 'file', name: 'file', sink, from, decides: true }],
    onFailure: 'refuse',
    checkpoints: { signer: createSigner(privatePem, every), every, intervalMs: 60_000 },
    now: () => 0,
    onRecords: () => {},
    onStateChange: () => {},
  })
  await Promise.all(
    Array.from({ length: count }, (_, number) => log.write(`{"event":"e","number":${number}}`)),
  )
  if (!isKilled) await log.close()
  return lines
}

/** Chains what was changed again, as whoever has the file and no key can. */
function rechained(lines: readonly string[]): string[] {
  let link: Link = GENESIS
  return lines.map(line => {
    const sealed = seal(`${line.slice(0, line.indexOf(',"chain":'))}}`, link)
    link = sealed.link
    return sealed.line
  })
}

function fileOf(lines: readonly string[]): string {
  const { file } = auditFile([])
  writeFileSync(file, lines.map(line => `${line}\n`).join(''))
  writeHead(file, JSON.parse(lines.at(-1) as string).chain)
  return file
}

const problemsOf = async (lines: readonly string[]) =>
  (await verify([fileOf(lines)], { publicKeys: PUBLIC })).problems.map(({ line, kind }) => ({ line, kind }))

describe('checkpoints', () => {
  it('stand behind every so many records and at the end, and vouch for all before them', async () => {
    const lines = await written(10, 4)
    expect(lines.map(line => JSON.parse(line).event)).toEqual([
      ...['e', 'e', 'e', 'e', 'checkpoint'],
      ...['e', 'e', 'e', 'e', 'checkpoint'],
      ...['e', 'e', 'checkpoint'],
    ])
    expect(await verify([fileOf(lines)], { publicKeys: PUBLIC })).toMatchObject({
      ok: true,
      records: 13,
      signedUpTo: 12,
    })
  })

  it('tell of a log that was rewritten whole, hashes, head and all', async () => {
    const lines = await written(10, 4)
    const rewritten = rechained(lines.map(line => line.replace('"number":2', '"number":9')))
    expect((await verify([fileOf(rewritten)])).ok).toBe(true)
    expect(await problemsOf(rewritten)).toEqual(
      [5, 10, 13].map(line => ({ line, kind: 'forged' })).concat([{ line: 13, kind: 'unsigned' }]),
    )
  })

  it('tell of a log that was rewritten from the middle on, and has no more of them', async () => {
    const lines = await written(20, 4)
    const rewritten = rechained(lines.filter((line, index) => index < 5 || !line.includes('"checkpoint"')))
    expect(await problemsOf(rewritten)).toEqual([{ line: 10, kind: 'unsigned' }])
  })

  it('are no further apart when a process was killed between two', async () => {
    const first = await written(7, 4, { isKilled: true })
    const from = JSON.parse(first.at(-1) as string).chain as Link
    const second = await written(9, 4, { from: { seq: from.seq, hash: from.hash } })
    expect(await problemsOf([...first, ...second])).toEqual([])
  })

  it('must be there when a key was given', async () => {
    const { lines } = auditFile(['{"event":"e"}'])
    expect(await problemsOf(lines)).toEqual([{ line: 1, kind: 'unsigned' }])
  })

  it('of another key vouch for nothing, unless that was given too', async () => {
    const other = newKeyPair()
    const lines = await written(4, 4, { privatePem: other.privatePem })
    expect(await problemsOf(lines)).toEqual([
      { line: 5, kind: 'forged' },
      { line: 5, kind: 'unsigned' },
    ])
    const both = [...PUBLIC, readPublicKey(other.publicPem)]
    expect((await verify([fileOf(lines)], { publicKeys: both })).ok).toBe(true)
  })

  it('are signed with Ed25519 and nothing else', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    expect(() => createSigner(pem, 1)).toThrow('Ed25519')
    expect(() => createSigner('none', 1)).toThrow()
  })
})
