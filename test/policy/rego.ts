/** Rego for tests: compiles real policies with the real `opa`, each text once. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { findOpa } from '../../src/policy/compile/opa-command.ts'
import { createEngine, type EngineOptions } from '../../src/policy/engine/engine.ts'

export const INSTANT = { nowNs: 1_790_000_000_123_456_789n, seed: 'decision-1' }

const compiled = new Map<string, Uint8Array>()

export function compile(rego: string, ...entrypoints: string[]): Uint8Array {
  const key = JSON.stringify([rego, entrypoints])
  const wasm = compiled.get(key) ?? build(rego, entrypoints)
  compiled.set(key, wasm)
  return wasm
}

function build(rego: string, entrypoints: readonly string[]): Uint8Array {
  const opa = findOpa()
  if (!opa) throw new Error('these tests need opa')
  const folder = mkdtempSync(join(tmpdir(), 'rego-'))
  const [source, bundle] = [join(folder, 'policy.rego'), join(folder, 'bundle.tar.gz')]
  writeFileSync(source, rego)
  const entries = entrypoints.flatMap(entrypoint => ['-e', entrypoint])
  execFileSync(opa.path, ['build', '-t', 'wasm', '--v1-compatible', ...entries, '-o', bundle, source])
  const wasm = fileInTar(gunzipSync(readFileSync(bundle)), '/policy.wasm')
  rmSync(folder, { recursive: true })
  return wasm
}

export function fileInTar(tar: Buffer, name: string): Buffer {
  for (let at = 0; at + 512 <= tar.length; ) {
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8) || 0
    if (tar.toString('utf8', at, tar.indexOf(0, at)) === name) return tar.subarray(at + 512, at + 512 + size)
    at += 512 + Math.ceil(size / 512) * 512
  }
  throw new Error(`no ${name} in the bundle`)
}

export function engineFor(rego: string, options: Partial<EngineOptions> = {}) {
  const wasm = compile(rego, 'test/answer')
  return createEngine({ wasm, dataText: '{}', builtinErrors: 'refuse', ...options })
}

/**
 * What an expression is worth, as JSON text; undefined when it has no value.
 *
 * @param input - A value, or its JSON text.
 */
export function ask(
  expression: string,
  input: unknown = {},
  builtinErrors: 'refuse' | 'undefined' = 'undefined',
): string | undefined {
  const engine = engineFor(`package test\n\nanswer := ${expression}\n`, { builtinErrors })
  return engine.evaluate('test/answer', typeof input === 'string' ? input : JSON.stringify(input), INSTANT)
}

/** The code of what a piece of work throws. */
export function codeOf(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (cause) {
    return (cause as { code?: string }).code ?? 'none'
  }
}

/** How many milliseconds of a processor a piece of work took: that the machine was busy elsewhere costs none. */
export function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
