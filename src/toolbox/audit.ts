/**
 * `audit verify`: whether the log is what was written. `audit keygen`: a key to sign checkpoints with.
 */
import type { KeyObject } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { newKeyPair, readPublicKey } from '../audit/checkpoint.ts'
import { partsOf } from '../audit/parts.ts'
import { type Verification, verify } from '../audit/verify.ts'
import { shownPath } from './config.ts'
import { CommandExit, CommandFailure, EXIT, type Format, print, printJson } from './output.ts'
import { createProgress, type Progress } from './progress.ts'

export interface VerifyFlags {
  readonly format: Format
  /** Files in PEM. */
  readonly publicKey: readonly string[]
}

/** @param logs - Each a chain of its own: its files, oldest first, rotated parts left to be found. */
export async function auditVerify(logs: readonly (readonly string[])[], flags: VerifyFlags): Promise<void> {
  const publicKeys = flags.publicKey.map(keyIn)
  const progress = createProgress('lines')
  const results: Verification[] = []
  for (const files of logs) results.push(await verified(files, publicKeys, progress))
  progress.end()
  const ok = results.every(result => result.ok)
  if (flags.format === 'json') printJson(summed(results))
  else
    for (const [index, result] of results.entries()) {
      if (results.length > 1) print(`${shownPath(logs[index]?.at(-1) ?? '')}:`)
      printResult(result)
    }
  if (!ok) throw new CommandExit(EXIT.findings)
}

function summed(results: readonly Verification[]): object {
  const [first] = results
  return {
    ok: results.every(({ ok }) => ok),
    records: total(results.map(({ records }) => records)),
    problems: results.flatMap(shown),
    problem_count: total(results.map(({ problemCount }) => problemCount)),
    anchored: results.every(({ anchored }) => anchored),
    ...(first?.prunedBefore === undefined ? {} : { pruned_before: first.prunedBefore }),
    ...(first?.signedUpTo === undefined ? {} : { signed_up_to: first.signedUpTo }),
  }
}

function printResult(result: Verification): void {
  const { records, anchored, prunedBefore, signedUpTo, ok, problemCount, problems } = result
  for (const { file, line, seq, kind } of shown(result))
    print(`${file}:${line}: ${kind}${seq === null ? '' : ` (record ${seq})`}`)
  if (problemCount > problems.length) print(`and ${problemCount - problems.length} more`)
  if (!anchored)
    print(
      'The tail is not anchored: without a head file beside it, nobody can tell that nothing is missing at the end.',
    )
  if (prunedBefore !== undefined) print(`Records before ${prunedBefore} were removed by retention.`)
  if (signedUpTo !== undefined) print(`Signed up to record ${signedUpTo}.`)
  print(`${records} records, ${ok ? 'the chain is whole' : `${problemCount} problems`}`)
}

function shown({
  problems,
}: Verification): { file: string; line: number; seq: number | null; kind: string }[] {
  return problems.map(problem => ({ ...problem, file: shownPath(problem.file) }))
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}

/** With the rotated parts of each, none twice, and parts of one log from the oldest on, however they were named. */
function inOrder(files: readonly string[]): string[] {
  const logs = files.filter(file => !/\.head$/.test(file))
  const whole = new Set(logs.flatMap(partsOf))
  const order = [...whole]
  const position = (file: string): number => order.indexOf(logOf(file, whole))
  return order.sort((one, other) => position(one) - position(other) || numberOf(other) - numberOf(one))
}

const ROTATED = /\.(\d+)(\.gz)?$/

/** The log that a file is a part of, where that is among them. */
function logOf(file: string, among: ReadonlySet<string>): string {
  const log = file.replace(ROTATED, '')
  return among.has(log) ? log : file
}

function numberOf(file: string): number {
  return Number(ROTATED.exec(file)?.[1] ?? 0)
}

async function verified(
  files: readonly string[],
  publicKeys: readonly KeyObject[],
  progress: Progress,
): Promise<Verification> {
  try {
    return await verify(() => inOrder(files), { publicKeys, onLines: progress.add })
  } catch (error) {
    throw new CommandFailure(EXIT.failure, `cannot read the log: ${(error as Error).message}`)
  }
}

function keyIn(file: string): KeyObject {
  try {
    return readPublicKey(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new CommandFailure(EXIT.usage, `${file}: ${(error as Error).message}`)
  }
}

/** Writes a private key, for its owner alone, and its public half beside it. */
export function auditKeygen(file: string, format: Format): void {
  const { privatePem, publicPem, keyId } = newKeyPair()
  try {
    writeFileSync(file, privatePem, { mode: 0o600, flag: 'wx' })
    writeFileSync(`${file}.pub`, publicPem, { flag: 'wx' })
  } catch (error) {
    throw new CommandFailure(EXIT.failure, `cannot write the key: ${(error as Error).message}`)
  }
  if (format === 'json') printJson({ key_id: keyId, private_key: file, public_key: `${file}.pub` })
  else print(`${keyId}: ${file} signs, ${file}.pub verifies. Keep the public half where the log is not.`)
}
