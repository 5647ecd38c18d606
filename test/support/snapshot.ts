import type { Snapshot } from '../../src/policy/compile/source.ts'

/** A policy folder that is on no disk. */
export function snapshotOf(files: Readonly<Record<string, string>>): Snapshot {
  return {
    files: Object.entries(files).map(([name, text]) => ({ name, bytes: Buffer.from(text) })),
    digest: 'd',
    revision: 'r',
  }
}
