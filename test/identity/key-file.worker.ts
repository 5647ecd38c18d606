/** A command that adds five keys, one after the other; several run at once. */
import { changeKeyFile } from '../../src/identity/key-file.ts'

const [file = '', worker = ''] = process.argv.slice(2)
for (let number = 0; number < 5; number++) {
  await changeKeyFile(file, keys => [
    ...keys,
    {
      id: `k_${worker.padStart(5, '0')}${String(number).padStart(5, '0')}`,
      hash: 'b'.repeat(64),
      principal: 'worker',
      kind: 'service',
      roles: [],
      team: null,
      created_at: '2026-01-01T00:00:00Z',
      expires_at: null,
      revoked_at: null,
    },
  ])
}
