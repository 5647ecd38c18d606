/**
 * Last good: the last bundle that was put in force, kept on disk, so that a start without the source still
 * has a policy; and its sequence number, so that a restart does not forget what is too old.
 *
 * It is no authority: what is read back is verified again, with the keys of that moment.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { EpochMs } from '../../contract/units.ts'

export interface LastGood {
  /** What was kept; undefined when there is none, or it is damaged. */
  read(): KeptBundle | undefined
  /** The highest that was accepted. */
  sequence(): number | undefined
  /** @throws when the disk cannot take it. */
  keep(bundle: KeptBundle): void
  /** The source was seen to hold it still. Written now and then: it only makes an age exact. */
  confirm(at: EpochMs): void
}

export interface KeptBundle {
  readonly archive: Uint8Array
  readonly revision: string
  readonly sequence: number | undefined
  readonly confirmedAt: EpochMs
  /** What a server called it. */
  readonly etag: string | undefined
}

interface Note {
  readonly source: string
  readonly sha256: string
  readonly revision: string
  readonly sequence?: number
  readonly confirmed_at: string
  readonly etag?: string
}

const CONFIRM_EVERY_MS = 60_000

/**
 * @param folder - Made when something is first kept.
 * @param source - The path or URL of the source: another source has another last good bundle.
 */
export function createLastGood(folder: string, source: string): LastGood {
  const name = `bundle-${sha256(source).slice(0, 12)}`
  const noteFile = path.join(folder, `${name}.json`)
  const archiveFile = (digest: string): string => path.join(folder, `${name}-${digest.slice(0, 16)}.tar.gz`)
  let note = readNote()

  function readNote(): Note | undefined {
    try {
      const found = JSON.parse(readFileSync(noteFile, 'utf8')) as Note
      return found.source === source ? found : undefined
    } catch {
      return undefined
    }
  }

  function writeNote(next: Note): void {
    replace(noteFile, `${JSON.stringify(next, null, 2)}\n`)
    note = next
  }

  /** Each bundle has a file of its own, so that the note never names half of one. */
  function removeOthers(digest: string): void {
    for (const file of readdirSync(folder)) {
      const full = path.join(folder, file)
      if (file.startsWith(`${name}-`) && full !== archiveFile(digest)) rmSync(full, { force: true })
    }
  }

  return {
    read() {
      if (!note) return undefined
      const { sha256: digest, revision, sequence, confirmed_at, etag } = note
      const archive = readIfThere(archiveFile(digest))
      if (!archive || sha256(archive) !== digest) return undefined
      return { archive, revision, sequence, confirmedAt: Date.parse(confirmed_at), etag }
    },
    sequence: () => note?.sequence,
    keep({ archive, revision, sequence, confirmedAt, etag }) {
      mkdirSync(folder, { recursive: true })
      const digest = sha256(archive)
      const highest = Math.max(
        sequence ?? Number.NEGATIVE_INFINITY,
        note?.sequence ?? Number.NEGATIVE_INFINITY,
      )
      replace(archiveFile(digest), archive)
      writeNote({
        source,
        sha256: digest,
        revision,
        ...(Number.isFinite(highest) ? { sequence: highest } : {}),
        confirmed_at: new Date(confirmedAt).toISOString(),
        ...(etag === undefined ? {} : { etag }),
      })
      removeOthers(digest)
    },
    confirm(at) {
      if (!note || at - Date.parse(note.confirmed_at) < CONFIRM_EVERY_MS) return
      writeNote({ ...note, confirmed_at: new Date(at).toISOString() })
    },
  }
}

/** By a rename: a reader, or a crash, sees the old or the new, whole. */
function replace(file: string, content: string | Uint8Array): void {
  const next = `${file}.next`
  writeFileSync(next, content, { mode: 0o600, flush: true })
  renameSync(next, file)
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
