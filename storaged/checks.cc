#include "storaged/mail_store.h"

// What has to be true of an account's rows at any time: the invariants of mail_schema.cc, as statements for what breaks
// them. Joins over grouped rows: the cost of each is that of reading the tables, also with a million messages.

namespace mox::storaged {

namespace {

constexpr Check kChecks[] = {
    {"SELECT c.id FROM content c LEFT JOIN (SELECT content, count(*) n FROM message GROUP BY content) m"
     " ON m.content = c.id WHERE c.copies != ifnull(m.n, 0)",
     "wrong number of copies of a content"},
    {"SELECT m.mailbox || ':' || m.uid FROM message m LEFT JOIN content c ON c.id = m.content WHERE c.id IS NULL",
     "a message without its content"},
    {"SELECT m.mailbox || ':' || m.uid FROM message m JOIN content c ON c.id = m.content"
     " WHERE m.size != length(c.prefix) + c.file_size",
     "wrong size of a message"},
    {"SELECT b.name FROM mailbox b LEFT JOIN (SELECT mailbox, count(*) messages, sum(flags & 1 = 0) unseen,"
     " sum(flags & 8 != 0) deleted, sum(size) size FROM message GROUP BY mailbox) m ON m.mailbox = b.id"
     " WHERE b.messages != ifnull(m.messages, 0) OR b.unseen != ifnull(m.unseen, 0)"
     " OR b.deleted != ifnull(m.deleted, 0) OR b.size != ifnull(m.size, 0)",
     "wrong counters of a mailbox"},
    {"SELECT used FROM state WHERE used != (SELECT ifnull(sum(size), 0) FROM message)", "wrong sum of sizes"},
    {"SELECT m.mailbox || ':' || m.uid FROM message m LEFT JOIN mailbox b ON b.id = m.mailbox"
     " WHERE b.id IS NULL OR m.uid < 1 OR m.uid >= b.uidnext",
     "a uid that is not given out yet"},
    {"SELECT b.name FROM mailbox b, state s WHERE b.uidvalidity >= s.next_uidvalidity",
     "a UIDVALIDITY that is not given out yet"},
    {"SELECT m.mailbox || ':' || m.uid FROM message m JOIN mailbox b ON b.id = m.mailbox"
     " WHERE m.created > m.modseq OR m.modseq > b.highest_modseq",
     "wrong order of modseqs"},
    {"SELECT b.name FROM mailbox b, state s WHERE b.highest_modseq >= s.next_modseq",
     "a modseq that is not given out yet"},
    {"SELECT e.mailbox || ':' || e.first FROM expunged e LEFT JOIN mailbox b ON b.id = e.mailbox"
     " WHERE b.id IS NULL OR e.first > e.last OR e.last >= b.uidnext OR e.modseq > b.highest_modseq",
     "an expunged range that cannot be"},
    {"SELECT m.mailbox || ':' || m.uid FROM expunged e JOIN message m ON m.mailbox = e.mailbox"
     " AND m.uid BETWEEN e.first AND e.last",
     "a message that is said to be expunged"},
    {"SELECT mailbox || ':' || uid FROM message WHERE flags & ~1023 != 0 OR keywords &"
     " ~(SELECT ifnull(sum(1 << bit), 0) FROM keyword WHERE keyword.mailbox = message.mailbox) != 0",
     "a flag or keyword that does not exist"},
    {"SELECT name FROM mailbox WHERE instr(name, '/') > 0 AND"
     " substr(name, 1, length(rtrim(name, replace(name, '/', ''))) - 1) NOT IN (SELECT name FROM mailbox)",
     "a mailbox without the one above it"},
    {"SELECT 'INBOX' WHERE NOT EXISTS (SELECT 1 FROM mailbox WHERE name = 'INBOX')", "a mailbox that is missing"},
    {"SELECT c.id FROM content c, state s WHERE c.id >= s.next_file", "a file number that is not given out yet"},
    {"SELECT w.content FROM word_list w LEFT JOIN content c ON c.id = w.content WHERE c.id IS NULL",
     "words of no content"},
    {"SELECT d.content FROM dead_content d JOIN content c ON c.id = d.content", "a content that is said to be gone"},
    {"SELECT o.content FROM thread_of o LEFT JOIN content c ON c.id = o.content LEFT JOIN thread t"
     " ON t.id = o.thread WHERE c.id IS NULL OR t.id IS NULL",
     "a place in a thread that cannot be"},
    {"SELECT c.id FROM content c LEFT JOIN thread_of o ON o.content = c.id WHERE o.content IS NULL"
     " AND c.id < (SELECT max(content) FROM thread_of)",
     "a content without a thread"},
    {"SELECT t.id FROM thread t LEFT JOIN (SELECT thread, count(*) n, min(content) first FROM thread_of"
     " GROUP BY thread) o ON o.thread = t.id WHERE t.messages IS NOT o.n OR t.joined < o.n"
     " OR t.id > o.first",
     "wrong count of messages of a thread"},
    {"SELECT k.message_id FROM thread_key k LEFT JOIN thread t ON t.id = k.thread WHERE t.id IS NULL",
     "what leads to no thread"},
    {"SELECT address FROM recipient WHERE address NOT LIKE '_%@_%' OR count < 1", "a recipient that cannot be"},
    {"SELECT k.content FROM sender_key k LEFT JOIN sender_segment g ON g.first = k.segment"
     " WHERE g.first IS NULL OR k.content NOT BETWEEN g.first AND g.last",
     "a key of a sender that is in no segment"},
    {"SELECT s.content FROM sender s WHERE ifnull((SELECT last FROM sender_segment WHERE first <= s.content"
     " ORDER BY first DESC LIMIT 1), 0) < s.content",
     "senders that are in no segment"},
    {"SELECT a.first FROM sender_segment a, state WHERE a.last > sender_indexed OR EXISTS"
     " (SELECT 1 FROM sender_segment b WHERE b.first > a.first AND b.first <= a.last)",
     "a segment of senders that cannot be"},
    {"SELECT o.content FROM opinion o LEFT JOIN content c ON c.id = o.content LEFT JOIN sender s"
     " ON s.content = o.content WHERE value > 2 OR wanted > 2 OR learned > 2 OR c.id IS NULL AND"
     " (s.content IS NULL OR wanted != learned)",
     "an opinion that cannot be"},
    {"SELECT junk_words FROM state WHERE junk_words != (SELECT count(*) FROM junk_word)",
     "wrong count of words of junk"},
    {"SELECT word FROM junk_word WHERE junk < 0 OR not_junk < 0", "a word in less than no message"},
    {"SELECT id FROM web_session WHERE length(token) != 32 OR length(csrf) != 32 OR last_used < created",
     "a session in a browser that cannot be"},
    {"SELECT count(*) FROM web_session HAVING count(*) > 100", "too many sessions in a browser"},
    {"SELECT s.id FROM segment s WHERE s.state = 1 AND NOT EXISTS (SELECT 1 FROM segment t WHERE t.target = s.id)",
     "a segment that is made of nothing"},
    {"SELECT id >> 24 FROM segment_words WHERE id >> 24 NOT IN (SELECT id FROM segment) UNION"
     " SELECT id >> 24 FROM segment_postings WHERE id >> 24 NOT IN (SELECT id FROM segment)",
     "blocks of no segment"},
    {"SELECT a.mailbox || ':' || a.identifier FROM acl a LEFT JOIN mailbox b ON b.id = a.mailbox"
     " WHERE b.id IS NULL OR a.rights & ~2047 != 0 OR a.rights = 0 OR a.identifier IN ('', '-')",
     "an access right that cannot be"},
    {"SELECT p.id FROM pack p, state s WHERE p.id >= s.next_file", "a file number that is not given out yet"},
    {"SELECT p.id FROM pack p LEFT JOIN (SELECT file, count(*) live, sum(length + 32) bytes FROM content"
     " WHERE file != id AND method != 2 GROUP BY file) c ON c.file = p.id"
     " WHERE p.live != ifnull(c.live, 0) OR p.live_bytes != ifnull(c.bytes, 0)",
     "wrong counters of a pack"},
    {"SELECT c.id FROM content c LEFT JOIN pack p ON p.id = c.file WHERE c.file != c.id AND c.method != 2"
     " AND (p.id IS NULL OR c.offset + 32 + c.length > p.size)",
     "a message that is in no pack"},
    {"SELECT pack FROM state WHERE pack != 0 AND pack NOT IN (SELECT id FROM pack)", "a pack that is missing"},
    {"SELECT id FROM content WHERE method NOT IN (0, 1, 2) OR file = id AND (method != 0 OR length != file_size)",
     "a content whose bytes are nowhere"},
    {"SELECT c.id FROM content c LEFT JOIN compressed f ON f.file = c.file AND f.content = c.id"
     " WHERE c.method = 2 AND (f.size IS NOT c.length OR c.length >= c.file_size)",
     "a compressed message without its file"},
    {"SELECT f.file FROM compressed f LEFT JOIN content c ON c.id = f.content AND c.file = f.file AND c.method = 2,"
     " state s WHERE c.id IS NULL OR f.file >= s.next_file",
     "a compressed file of no message"},
    {"SELECT t.content FROM to_compress t LEFT JOIN content c ON c.id = t.content AND c.file = c.id"
     " WHERE c.id IS NULL",
     "nothing that can be compressed"},
    {"SELECT erase.file FROM erase JOIN content ON content.id = erase.file AND content.file = content.id"
     " UNION ALL SELECT erase.file FROM erase JOIN pack ON pack.id = erase.file"
     " UNION ALL SELECT file FROM erase JOIN compressed USING (file)",
     "a file to be erased that is needed"},
};

}  // namespace

std::span<const Check> MailStore::checks() const {
    return kChecks;
}

const char* MailStore::files_sql() const {
    return "SELECT id, file_size, 0 FROM content WHERE id BETWEEN ?1 AND ?2 AND file = id"
           " UNION ALL SELECT id, size, 1 FROM pack WHERE id BETWEEN ?1 AND ?2"
           " UNION ALL SELECT file, size, 2 FROM compressed WHERE file BETWEEN ?1 AND ?2 ORDER BY id";
}

const char* MailStore::count_sql() const {
    return "SELECT count(*) FROM content WHERE id BETWEEN ?1 AND ?2";
}

}  // namespace mox::storaged
