"""What the page of a person's choices says, by language; where one is missing, English."""

from collections.abc import Mapping
from dataclasses import dataclass

from noti_worker.domain.choice import NEVER, Frequency
from noti_worker.domain.notification import Channel

ANY = ""
"""Stands for every channel."""


@dataclass(frozen=True, slots=True)
class ChoiceWords:
    """The texts of one language."""

    heading: str  # headings end without a full stop
    text: str
    saved: str
    save: str  # the button
    nothing: str  # the button that refuses everything that can be refused
    always: str  # beside what is mandatory
    empty: str
    often: Mapping[str, str]  # by frequency, and NEVER
    channels: Mapping[str, str]  # by channel, and ANY


def _often(instant: str, hourly: str, daily: str, never: str) -> Mapping[str, str]:
    return {Frequency.INSTANT: instant, Frequency.HOURLY: hourly, Frequency.DAILY: daily, NEVER: never}


def _channels(any_: str, email: str, push: str, voice: str, in_app: str, *, sms: str = "SMS") -> Mapping[str, str]:
    return {
        ANY: any_,
        Channel.EMAIL: email,
        Channel.SMS: sms,
        Channel.WHATSAPP: "WhatsApp",
        Channel.PUSH: push,
        Channel.VOICE: voice,
        Channel.CHAT: "Chat",
        Channel.WEBHOOK: "Webhook",
        Channel.IN_APP: in_app,
    }


ENGLISH = "en"

CHOICE_WORDS: Mapping[str, ChoiceWords] = {
    ENGLISH: ChoiceWords(
        heading="Your messages",
        text="Choose what you want to get, and how often.",
        saved="Your choices are saved.",
        save="Save",
        nothing="Stop everything that is not necessary",
        always="is always sent",
        empty="There is nothing to choose at present.",
        often=_often("as it comes", "at most once an hour", "at most once a day", "not at all"),
        channels=_channels("Messages", "E-mail", "On your devices", "Phone call", "In the app"),
    ),
    "de": ChoiceWords(
        heading="Ihre Nachrichten",
        text="Wählen Sie, was Sie erhalten möchten und wie oft.",
        saved="Ihre Auswahl ist gespeichert.",
        save="Speichern",
        nothing="Alles abbestellen, was nicht notwendig ist",
        always="wird immer gesendet",
        empty="Zurzeit gibt es nichts auszuwählen.",
        often=_often("sofort", "höchstens stündlich", "höchstens täglich", "gar nicht"),
        channels=_channels("Nachrichten", "E-Mail", "Auf Ihren Geräten", "Anruf", "In der App"),
    ),
    "fr": ChoiceWords(
        heading="Vos messages",
        text="Choisissez ce que vous souhaitez recevoir, et à quelle fréquence.",
        saved="Vos choix sont enregistrés.",
        save="Enregistrer",
        nothing="Arrêter tout ce qui n’est pas nécessaire",
        always="toujours envoyé",
        empty="Il n’y a rien à choisir pour le moment.",
        often=_often("dès l’envoi", "une fois par heure au plus", "une fois par jour au plus", "jamais"),
        channels=_channels("Messages", "E-mail", "Sur vos appareils", "Appel", "Dans l’application"),
    ),
    "es": ChoiceWords(
        heading="Sus mensajes",
        text="Elija qué desea recibir y con qué frecuencia.",
        saved="Sus preferencias se han guardado.",
        save="Guardar",
        nothing="Detener todo lo que no sea necesario",
        always="se envía siempre",
        empty="Por ahora no hay nada que elegir.",
        often=_often("al momento", "como máximo una vez por hora", "como máximo una vez al día", "nunca"),
        channels=_channels("Mensajes", "Correo electrónico", "En sus dispositivos", "Llamada", "En la aplicación"),
    ),
    "it": ChoiceWords(
        heading="I tuoi messaggi",
        text="Scegli che cosa vuoi ricevere e quanto spesso.",
        saved="Le tue scelte sono state salvate.",
        save="Salva",
        nothing="Interrompi tutto ciò che non è necessario",
        always="viene sempre inviato",
        empty="Al momento non c’è nulla da scegliere.",
        often=_often("subito", "al massimo una volta all’ora", "al massimo una volta al giorno", "mai"),
        channels=_channels("Messaggi", "E-mail", "Sui tuoi dispositivi", "Chiamata", "Nell’app"),
    ),
    "pt": ChoiceWords(
        heading="As suas mensagens",
        text="Escolha o que pretende receber e com que frequência.",
        saved="As suas escolhas foram guardadas.",
        save="Guardar",
        nothing="Parar tudo o que não for necessário",
        always="é sempre enviado",
        empty="De momento não há nada para escolher.",
        often=_often("de imediato", "no máximo uma vez por hora", "no máximo uma vez por dia", "nunca"),
        channels=_channels("Mensagens", "E-mail", "Nos seus dispositivos", "Chamada", "Na aplicação"),
    ),
    "pt-BR": ChoiceWords(
        heading="Suas mensagens",
        text="Escolha o que deseja receber e com que frequência.",
        saved="Suas escolhas foram salvas.",
        save="Salvar",
        nothing="Parar tudo o que não for necessário",
        always="é sempre enviado",
        empty="No momento não há nada para escolher.",
        often=_often("na hora", "no máximo uma vez por hora", "no máximo uma vez por dia", "nunca"),
        channels=_channels("Mensagens", "E-mail", "Nos seus dispositivos", "Ligação", "No aplicativo"),
    ),
    "nl": ChoiceWords(
        heading="Uw berichten",
        text="Kies wat u wilt ontvangen, en hoe vaak.",
        saved="Uw keuzes zijn opgeslagen.",
        save="Opslaan",
        nothing="Alles stoppen wat niet nodig is",
        always="wordt altijd verstuurd",
        empty="Er is op dit moment niets te kiezen.",
        often=_often("meteen", "hooguit één keer per uur", "hooguit één keer per dag", "helemaal niet"),
        channels=_channels("Berichten", "E-mail", "Op uw apparaten", "Telefoon", "In de app", sms="Sms"),
    ),
    "pl": ChoiceWords(
        heading="Twoje wiadomości",
        text="Wybierz, co chcesz otrzymywać i jak często.",
        saved="Twój wybór został zapisany.",
        save="Zapisz",
        nothing="Zatrzymaj wszystko, co nie jest konieczne",
        always="wysyłane zawsze",
        empty="Obecnie nie ma nic do wyboru.",
        often=_often("od razu", "najwyżej raz na godzinę", "najwyżej raz dziennie", "wcale"),
        channels=_channels("Wiadomości", "E-mail", "Na Twoich urządzeniach", "Telefon", "W aplikacji"),
    ),
    "ar": ChoiceWords(
        heading="رسائلك",
        text="اختر ما تريد تلقيه، وكم مرة.",
        saved="تم حفظ اختياراتك.",
        save="حفظ",
        nothing="إيقاف كل ما ليس ضروريًا",
        always="تُرسل دائمًا",
        empty="لا يوجد ما يمكن اختياره حاليًا.",
        often=_often("فورًا", "مرة في الساعة على الأكثر", "مرة في اليوم على الأكثر", "لا أريدها"),
        channels=_channels(
            "الرسائل", "البريد الإلكتروني", "على أجهزتك", "مكالمة هاتفية", "في التطبيق", sms="رسالة نصية"
        ),
    ),
    "hi": ChoiceWords(
        heading="आपके संदेश",
        text="चुनें कि आप क्या पाना चाहते हैं और कितनी बार।",
        saved="आपकी पसंद सहेज ली गई है।",
        save="सहेजें",
        nothing="जो ज़रूरी नहीं है, वह सब बंद करें",
        always="हमेशा भेजा जाता है",
        empty="अभी चुनने के लिए कुछ नहीं है।",
        often=_often("तुरंत", "घंटे में अधिकतम एक बार", "दिन में अधिकतम एक बार", "बिल्कुल नहीं"),
        channels=_channels("संदेश", "ईमेल", "आपके उपकरणों पर", "फ़ोन कॉल", "ऐप में"),
    ),
    "ja": ChoiceWords(
        heading="メッセージの設定",
        text="受け取る内容と頻度をお選びください。",
        saved="設定を保存しました。",
        save="保存",
        nothing="必要なもの以外をすべて停止する",
        always="常に送信されます",
        empty="現在、選択できる項目はありません。",
        often=_often("その都度", "多くても1時間に1回", "多くても1日に1回", "受け取らない"),
        channels=_channels("メッセージ", "メール", "お使いの端末への通知", "電話", "アプリ内"),
    ),
}


def choice_words(language: str) -> ChoiceWords:
    """The words of a language of the pages."""
    return CHOICE_WORDS.get(language, CHOICE_WORDS[ENGLISH])
